import AlignmentCore

/// Reduce-scatter and all-gather around a ring of ranks (Patarasuk and Yuan 2009, "Bandwidth optimal all-reduce
/// algorithms for clusters of workstations", §3), in pieces of fixed size.
///
/// Each rank sends and receives (n − 1)/n of the arena, the least possible.
package enum Ring {
  /// Elements of a piece; a bucket of the reduction.
  package static let pieceCount = 1 << 20

  /// Adds up the arenas of all ranks, so that each rank holds the totals of its own shard.
  ///
  /// - Parameters:
  ///   - arena: each rank's terms; outside the own shard it holds partial sums afterwards.
  ///   - scratch: ``pieceCount`` elements.
  ///   - add: adds `count` received elements into the arena.
  package static func reduceScatter<Element>(
    _ arena: UnsafeMutablePointer<Element>, _ sharding: Sharding, scratch: UnsafeMutablePointer<Element>,
    over communicator: any Communicator,
    add: (_ received: UnsafePointer<Element>, _ into: UnsafeMutablePointer<Element>, _ count: Int) -> Void
  ) throws {
    let (rank, size) = (communicator.rank, communicator.size)
    for step in 0..<size - 1 {
      let outgoing = sharding.range(ofRank: (rank + 2 * size - step - 1) % size)
      let incoming = sharding.range(ofRank: (rank + 2 * size - step - 2) % size)
      try forEachPiece(of: sharding, outgoing, incoming) { out, into in
        try pass(
          UnsafePointer(arena + out.lowerBound), count: out.count, scratch, count: into.count, over: communicator)
        add(UnsafePointer(scratch), arena + into.lowerBound, into.count)
      }
    }
  }

  /// Copies each rank's shard to all others.
  package static func allGather<Element>(
    _ arena: UnsafeMutablePointer<Element>, _ sharding: Sharding, over communicator: any Communicator
  ) throws {
    let (rank, size) = (communicator.rank, communicator.size)
    for step in 0..<size - 1 {
      let outgoing = sharding.range(ofRank: (rank + size - step) % size)
      let incoming = sharding.range(ofRank: (rank + 2 * size - step - 1) % size)
      try forEachPiece(of: sharding, outgoing, incoming) { out, into in
        try pass(
          UnsafePointer(arena + out.lowerBound), count: out.count, arena + into.lowerBound, count: into.count,
          over: communicator)
      }
    }
  }

  /// Sends to the right neighbour while receiving from the left one.
  private static func pass<Element>(
    _ outgoing: UnsafePointer<Element>, count outgoingCount: Int, _ incoming: UnsafeMutablePointer<Element>,
    count incomingCount: Int, over communicator: any Communicator
  ) throws {
    let stride = MemoryLayout<Element>.stride
    try communicator.exchange(
      send: UnsafeRawBufferPointer(start: outgoing, count: outgoingCount * stride),
      to: (communicator.rank + 1) % communicator.size,
      receive: UnsafeMutableRawBufferPointer(start: incoming, count: incomingCount * stride),
      from: (communicator.rank + communicator.size - 1) % communicator.size)
  }

  /// Walks two shards piece by piece, as many pieces as the largest shard has: every rank must make the same exchanges,
  /// whatever the sizes of its own two shards.
  private static func forEachPiece(
    of sharding: Sharding, _ a: Range<Int>, _ b: Range<Int>, _ body: (Range<Int>, Range<Int>) throws -> Void
  ) rethrows {
    for start in stride(from: 0, to: sharding.largestShard, by: pieceCount) {
      let piece = { (range: Range<Int>) in
        min(range.lowerBound + start, range.upperBound)..<min(range.lowerBound + start + pieceCount, range.upperBound)
      }
      try body(piece(a), piece(b))
    }
  }
}
