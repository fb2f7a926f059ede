import AlignmentCore
import Collectives
import Testing

@Suite struct RingTests {
  static let block = Sharding.blockSize

  /// Elements for a number of ranks: shards of a few elements or none, a block, and more.
  static func counts(_ ranks: Int) -> [Int] {
    [
      1, 100, block - 1, block + 1, 2 * block, ranks * block, (ranks + 1) * block - 7, 3 * ranks * block - 5,
      (3 * ranks + 2) * block,
    ]
  }

  /// Element `index` of a rank's arena; bytes, added modulo 256, keep the arenas small.
  private static func term(_ rank: Int, _ index: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: index % 251 &* (2 * rank + 3))
  }

  private func reduceScatter(_ sharding: Sharding, over communicator: any Communicator) throws -> Bool {
    var arena = (0..<sharding.count).map { Self.term(communicator.rank, $0) }
    var scratch = [UInt8](repeating: 255, count: sharding.largestPart)
    for bucket in 0..<sharding.bucketCount {
      try Ring.reduceScatter(
        &arena, sharding, bucket: bucket, scratch: &scratch, over: BlockingLink(communicator)
      ) { received, target, count in
        for i in 0..<count { target[i] &+= received[i] }
      }
    }
    return sharding.shard(ofRank: communicator.rank).joined().allSatisfy { index in
      arena[index] == (0..<sharding.ranks).reduce(0) { $0 &+ Self.term($1, index) }
    }
  }

  private func allGather(_ sharding: Sharding, over communicator: any Communicator) throws -> Bool {
    var arena = [UInt8](repeating: 255, count: sharding.count)
    for index in sharding.shard(ofRank: communicator.rank).joined() { arena[index] = Self.term(0, index) }
    for bucket in 0..<sharding.bucketCount {
      try Ring.allGather(&arena, sharding, bucket: bucket, over: BlockingLink(communicator))
    }
    return arena.indices.allSatisfy { arena[$0] == Self.term(0, $0) }
  }

  // A rank must send as many messages as its neighbour receives: also where a part is empty. Threads would wait for ever for a message too few, so they come after messages, which do not.
  @Test(arguments: 1...5, [nil, 1, 4])
  func everyRankGetsItsTotalsAndAllShards(ranks: Int, bucketBlocks: Int?) throws {
    for count in Self.counts(ranks) {
      let sharding = Sharding(count: count, ranks: ranks, bucketBlocks: bucketBlocks)
      if try areMessagesSound(sharding) { try checkThreads(sharding) }
    }
  }

  private func areMessagesSound(_ sharding: Sharding) throws -> Bool {
    let office = PostOffice()
    let outcomes = try LocalCommunicator.run(ranks: sharding.ranks) { local -> String in
      let communicator = MailCommunicator(local, office)
      do {
        let sums = try reduceScatter(sharding, over: communicator)
        let copies = try allGather(sharding, over: communicator)
        return sums && copies ? "sound" : "wrong values"
      } catch { return "\(error)" }
    }
    #expect(outcomes == Array(repeating: "sound", count: sharding.ranks), "\(sharding.count) elements over messages")
    #expect(office.unclaimed == 0, "\(sharding.count) elements over messages")
    return outcomes.allSatisfy { $0 == "sound" } && office.unclaimed == 0
  }

  private func checkThreads(_ sharding: Sharding) throws {
    let sound = try LocalCommunicator.run(ranks: sharding.ranks) { communicator in
      (try reduceScatter(sharding, over: communicator), try allGather(sharding, over: communicator))
    }
    #expect(sound.allSatisfy { $0.0 && $0.1 }, "\(sharding.count) elements over threads")
  }
}
