import Collectives
import Synchronization
import Testing

@Suite struct LocalCommunicatorTests {
  @Test func aSingleRankNeedsNobody() throws {
    let alone = LocalCommunicator()
    #expect(alone.rank == 0 && alone.size == 1 && alone.hostRank == 0 && alone.hostSize == 1)
    alone.barrier()
    #expect(try alone.allReduce(.sum, 2.5) == 2.5)
    #expect(try alone.broadcast([1, 2]) == [1, 2])
    #expect(try alone.allGather([3]) == [[3]])
  }

  @Test(arguments: 1...5)
  func resultsComeInTheOrderOfRanks(ranks: Int) throws {
    let results = try LocalCommunicator.run(ranks: ranks) { ($0.rank, $0.size, $0.hostRank, $0.hostSize) }
    for (rank, result) in results.enumerated() { #expect(result == (rank, ranks, rank, ranks)) }
    #expect(results.count == ranks)
  }

  struct Failure: Error, Equatable { let rank: Int }

  @Test(arguments: 1...5)
  func theFirstErrorByRankIsThrown(ranks: Int) {
    #expect(throws: Failure(rank: 0)) { try LocalCommunicator.run(ranks: ranks) { throw Failure(rank: $0.rank) } }
  }

  @Test(arguments: 1...5)
  func nobodyPassesABarrierAlone(ranks: Int) throws {
    let arrived = Atomic<Int>(0)
    let seen = try LocalCommunicator.run(ranks: ranks) { communicator in
      (1...50).map { round in
        arrived.add(1, ordering: .sequentiallyConsistent)
        communicator.barrier()
        let count = arrived.load(ordering: .sequentiallyConsistent)
        // The second barrier keeps the quick ranks from arriving for the next round before all have looked.
        communicator.barrier()
        return count == round * ranks
      }
    }
    #expect(seen.allSatisfy { $0.allSatisfy { $0 } })
  }

  @Test(arguments: 1...5, [0, 1, 1_000])
  func broadcastGivesEveryoneTheBytesOfTheRoot(ranks: Int, count: Int) throws {
    let results = try LocalCommunicator.run(ranks: ranks) { communicator in
      try (0..<ranks).map { root -> [UInt8] in
        var bytes = [UInt8](repeating: UInt8(communicator.rank + 10), count: count)
        bytes.withUnsafeMutableBytes { communicator.broadcast($0, from: root) }
        // The other form takes its length from the root too.
        let own = communicator.rank == root ? bytes : [1, 2, 3]
        return try communicator.broadcast(own, from: root) == bytes ? bytes : []
      }
    }
    for result in results { #expect(result == (0..<ranks).map { [UInt8](repeating: UInt8($0 + 10), count: count) }) }
  }

  @Test(arguments: 1...5)
  func allGatherKeepsOrderAndLengths(ranks: Int) throws {
    let results = try LocalCommunicator.run(ranks: ranks) { communicator in
      try communicator.allGather([UInt8](repeating: UInt8(communicator.rank), count: communicator.rank * 3))
    }
    for result in results { #expect(result == (0..<ranks).map { [UInt8](repeating: UInt8($0), count: $0 * 3) }) }
  }

  @Test(arguments: 1...5)
  func allReduceIsTheSameOnEveryRank(ranks: Int) throws {
    // Values whose sum depends on the order: it must be the order of ranks, on every rank.
    let values = (0..<ranks).map { [pow10($0 * 4) * 0.1, -Double($0), 3] }
    for (operation, combine) in [
      (ReductionOperator.sum, { $0 + $1 }), (.minimum, { min($0, $1) }), (.maximum, { max($0, $1) }),
    ] as [(ReductionOperator, (Double, Double) -> Double)] {
      let expected = values.dropFirst().reduce(values[0]) { zip($0, $1).map(combine) }
      let results = try LocalCommunicator.run(ranks: ranks) { communicator in
        var own = values[communicator.rank]
        own.withUnsafeMutableBufferPointer { communicator.allReduce(operation, $0) }
        let single = try communicator.allReduce(operation, values[communicator.rank][0])
        return own + [single]
      }
      for result in results { #expect(result == expected + [expected[0]]) }
    }
  }

  private func pow10(_ exponent: Int) -> Double { (0..<exponent).reduce(1) { power, _ in power * 10 } }

  @Test(arguments: 1...5)
  func exchangePassesAlongTheRing(ranks: Int) throws {
    let results = try LocalCommunicator.run(ranks: ranks) { communicator in
      let (rank, size) = (communicator.rank, communicator.size)
      var messages: [[UInt8]] = []
      // Lengths that differ from rank to rank, 0 among them.
      for distance in 0..<size {
        let source = (rank + size - distance) % size
        let outgoing = [UInt8](repeating: UInt8(rank + 1), count: rank * 5)
        var incoming = [UInt8](repeating: 0, count: source * 5)
        outgoing.withUnsafeBytes { send in
          incoming.withUnsafeMutableBytes {
            communicator.exchange(send: send, to: (rank + distance) % size, receive: $0, from: source)
          }
        }
        messages.append(incoming)
      }
      return messages
    }
    for (rank, messages) in results.enumerated() {
      for (distance, message) in messages.enumerated() {
        let source = (rank + ranks - distance) % ranks
        #expect(message == [UInt8](repeating: UInt8(source + 1), count: source * 5))
      }
    }
  }
}
