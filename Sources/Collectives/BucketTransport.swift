import AlignmentCore
import Kernels

/// How the ranks' parts of a bucket come together.
enum BucketTransport {
  /// Around the ring.
  case ring(any RingLink)
  /// As the library sees fit, which is the reference: every rank gets all sums, parts are broadcast by their ranks.
  case collectives(any Communicator)

  /// Adds up a bucket of all ranks, at least the own part of it.
  func add(
    _ arena: UnsafeMutablePointer<Int64>, _ sharding: Sharding, bucket: Int, scratch: UnsafeMutablePointer<Int64>
  ) throws {
    switch self {
    case .ring(let link):
      try Ring.reduceScatter(arena, sharding, bucket: bucket, scratch: scratch, over: link) {
        ExactSum.add($0, into: $1, count: $2)
      }
    case .collectives(let communicator): try communicator.sum(Self.elements(arena, sharding.range(ofBucket: bucket)))
    }
  }

  /// The same for Float32.
  func add(
    _ arena: UnsafeMutablePointer<Float>, _ sharding: Sharding, bucket: Int, scratch: UnsafeMutablePointer<Float>
  ) throws {
    switch self {
    case .ring(let link):
      try Ring.reduceScatter(arena, sharding, bucket: bucket, scratch: scratch, over: link) {
        Elementwise.add($0, into: $1, count: $2)
      }
    case .collectives(let communicator): try communicator.sum(Self.elements(arena, sharding.range(ofBucket: bucket)))
    }
  }

  /// Copies each rank's part of a bucket to all others.
  func gather(_ arena: UnsafeMutablePointer<Float>, _ sharding: Sharding, bucket: Int) throws {
    switch self {
    case .ring(let link): try Ring.allGather(arena, sharding, bucket: bucket, over: link)
    case .collectives(let communicator):
      for rank in 0..<communicator.size {
        let part = Self.elements(arena, sharding.range(ofRank: rank, inBucket: bucket))
        try communicator.broadcast(UnsafeMutableRawBufferPointer(part), from: rank)
      }
    }
  }

  private static func elements<Element>(
    _ arena: UnsafeMutablePointer<Element>, _ range: Range<Int>
  ) -> UnsafeMutableBufferPointer<Element> {
    UnsafeMutableBufferPointer(start: arena + range.lowerBound, count: range.count)
  }
}
