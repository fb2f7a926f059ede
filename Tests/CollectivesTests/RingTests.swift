import AlignmentCore
import Collectives
import Testing

@Suite struct RingTests {
  static let block = Sharding.blockSize
  static let piece = Ring.pieceCount
  static let blocksPerPiece = piece / block

  /// Elements for a number of ranks: shards of a few elements or none, a block, almost a piece, a piece, and more.
  static func counts(_ ranks: Int) -> [Int] {
    [
      1, 100, block - 1, block + 1, 2 * block, ranks * block, (ranks + 1) * block - 7, ranks * (piece - block),
      ranks * piece, ranks * (piece + 3 * block),
    ]
  }

  /// Shards of which some have a piece more than others.
  static func uneven(_ ranks: Int) -> [Int] {
    (1..<max(ranks, 2)).map { (ranks * blocksPerPiece + $0) * block - 3 }
  }

  /// Element `index` of a rank's arena; bytes, added modulo 256, keep the arenas small.
  private static func term(_ rank: Int, _ index: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: index % 251 &* (2 * rank + 3))
  }

  private func reduceScatter(_ count: Int, _ ranks: Int, over communicator: any Communicator) throws -> Bool {
    let sharding = Sharding(count: count, ranks: ranks)
    var arena = (0..<count).map { Self.term(communicator.rank, $0) }
    var scratch = [UInt8](repeating: 255, count: Self.piece)
    try Ring.reduceScatter(&arena, sharding, scratch: &scratch, over: communicator) { received, target, count in
      for i in 0..<count { target[i] &+= received[i] }
    }
    return sharding.range(ofRank: communicator.rank).allSatisfy { index in
      arena[index] == (0..<ranks).reduce(0) { $0 &+ Self.term($1, index) }
    }
  }

  private func allGather(_ count: Int, _ ranks: Int, over communicator: any Communicator) throws -> Bool {
    let sharding = Sharding(count: count, ranks: ranks)
    let own = sharding.range(ofRank: communicator.rank)
    var arena = [UInt8](repeating: 255, count: count)
    for index in own { arena[index] = Self.term(0, index) }
    try Ring.allGather(&arena, sharding, over: communicator)
    return arena.indices.allSatisfy { arena[$0] == Self.term(0, $0) }
  }

  // A rank must send as many messages as its neighbour receives: also where a shard is empty, and where the shards differ
  // by a piece. Threads would wait for ever for a message too few, so they come after messages, which do not.
  @Test(arguments: 1...5)
  func everyRankGetsItsTotalsAndAllShards(ranks: Int) throws {
    for count in Self.counts(ranks) + Self.uneven(ranks) {
      if try areMessagesSound(count, ranks) { try checkThreads(count, ranks) }
    }
  }

  private func areMessagesSound(_ count: Int, _ ranks: Int) throws -> Bool {
    let office = PostOffice()
    let outcomes = try LocalCommunicator.run(ranks: ranks) { local -> String in
      let communicator = MailCommunicator(local, office)
      do {
        let sums = try reduceScatter(count, ranks, over: communicator)
        let copies = try allGather(count, ranks, over: communicator)
        return sums && copies ? "sound" : "wrong values"
      } catch { return "\(error)" }
    }
    #expect(outcomes == Array(repeating: "sound", count: ranks), "\(count) elements over messages")
    #expect(office.unclaimed == 0, "\(count) elements over messages")
    return outcomes.allSatisfy { $0 == "sound" } && office.unclaimed == 0
  }

  private func checkThreads(_ count: Int, _ ranks: Int) throws {
    let sound = try LocalCommunicator.run(ranks: ranks) { communicator in
      (try reduceScatter(count, ranks, over: communicator), try allGather(count, ranks, over: communicator))
    }
    #expect(sound.allSatisfy { $0.0 && $0.1 }, "\(count) elements over threads")
  }
}
