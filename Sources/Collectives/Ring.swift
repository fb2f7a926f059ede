import AlignmentCore

/// Reduce-scatter and all-gather around a ring of ranks (Patarasuk and Yuan 2009, "Bandwidth optimal all-reduce
/// algorithms for clusters of workstations", §3), a bucket at a time.
///
/// Each rank sends and receives (n − 1)/n of the arena, the least possible.
package enum Ring {
  /// Adds up a bucket of all ranks, so that each rank holds the totals of its own part.
  ///
  /// - Parameters:
  ///   - arena: each rank's terms; outside the own part the bucket holds partial sums afterwards.
  ///   - scratch: ``Sharding/largestPart`` elements.
  ///   - add: adds `count` received elements into the arena.
  package static func reduceScatter<Element>(
    _ arena: UnsafeMutablePointer<Element>, _ sharding: Sharding, bucket: Int, scratch: UnsafeMutablePointer<Element>,
    over link: some RingLink,
    add: (_ received: UnsafePointer<Element>, _ into: UnsafeMutablePointer<Element>, _ count: Int) -> Void
  ) throws {
    let (rank, size) = (link.rank, link.size)
    for step in 0..<size - 1 {
      let outgoing = sharding.range(ofRank: (rank + 2 * size - step - 1) % size, inBucket: bucket)
      let incoming = sharding.range(ofRank: (rank + 2 * size - step - 2) % size, inBucket: bucket)
      try pass(arena + outgoing.lowerBound, outgoing.count, scratch, incoming.count, over: link)
      add(UnsafePointer(scratch), arena + incoming.lowerBound, incoming.count)
    }
  }

  /// Copies each rank's part of a bucket to all others.
  package static func allGather<Element>(
    _ arena: UnsafeMutablePointer<Element>, _ sharding: Sharding, bucket: Int, over link: some RingLink
  ) throws {
    let (rank, size) = (link.rank, link.size)
    for step in 0..<size - 1 {
      let outgoing = sharding.range(ofRank: (rank + size - step) % size, inBucket: bucket)
      let incoming = sharding.range(ofRank: (rank + 2 * size - step - 1) % size, inBucket: bucket)
      try pass(
        arena + outgoing.lowerBound, outgoing.count, arena + incoming.lowerBound, incoming.count, over: link)
    }
  }

  /// Sends elements to the right neighbour while receiving from the left one.
  static func pass<Element>(
    _ outgoing: UnsafePointer<Element>, _ outgoingCount: Int, _ incoming: UnsafeMutablePointer<Element>,
    _ incomingCount: Int, over link: some RingLink
  ) throws {
    let stride = MemoryLayout<Element>.stride
    try link.pass(
      send: UnsafeRawBufferPointer(start: outgoing, count: outgoingCount * stride),
      receive: UnsafeMutableRawBufferPointer(start: incoming, count: incomingCount * stride))
  }
}
