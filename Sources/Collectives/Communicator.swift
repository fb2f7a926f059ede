import AlignmentCore

/// How values of several ranks become one.
package enum ReductionOperator: Sendable {
  case sum
  case minimum
  case maximum
}

/// The ranks of a run and what they can do together. Every rank must make the same calls in the same order.
package protocol Communicator: AnyObject {
  var rank: Int { get }
  var size: Int { get }
  /// Rank and number of ranks among those on this host.
  var hostRank: Int { get }
  var hostSize: Int { get }

  /// Returns when every rank has called it.
  func barrier() throws
  /// Replaces the bytes on every rank by those of `root`.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws
  /// Replaces the values on every rank by their reduction over all ranks; meant for short tables.
  func allReduce(_ operation: ReductionOperator, _ values: UnsafeMutableBufferPointer<Double>) throws
  /// Replaces the values on every rank by their sums over all ranks; as long as they like.
  func sum(_ values: UnsafeMutableBufferPointer<Int64>) throws
  func sum(_ values: UnsafeMutableBufferPointer<Float>) throws
  /// Sends to one rank while receiving from another; the lengths of the two messages may differ.
  func exchange(
    send: UnsafeRawBufferPointer, to destination: Int, receive: UnsafeMutableRawBufferPointer, from source: Int) throws
  /// A ring over the same ranks for another thread, or nil where only one thread of a rank can communicate. Every rank
  /// must call it.
  func makeRingChannel() throws -> (any RingChannel)?
  /// Ends all ranks at once with an exit code in 1…125.
  func abort(code: Int32) -> Never
}

extension Communicator {
  package func makeRingChannel() throws -> (any RingChannel)? { nil }

  /// Reduces a single number.
  package func allReduce(_ operation: ReductionOperator, _ value: Double) throws -> Double {
    var value = value
    try withUnsafeMutablePointer(to: &value) {
      try allReduce(operation, UnsafeMutableBufferPointer(start: $0, count: 1))
    }
    return value
  }

  /// The bytes of `root` on every rank; other ranks' arguments are ignored.
  package func broadcast(_ bytes: [UInt8], from root: Int = 0) throws -> [UInt8] {
    var count = Int64(bytes.count)
    try withUnsafeMutableBytes(of: &count) { try broadcast($0, from: root) }
    var result = rank == root ? bytes : [UInt8](repeating: 0, count: Int(count))
    try result.withUnsafeMutableBytes { try broadcast($0, from: root) }
    return result
  }

  /// Every rank's bytes, in the order of ranks, on every rank.
  package func allGather(_ bytes: [UInt8]) throws -> [[UInt8]] {
    try (0..<size).map { try broadcast(bytes, from: $0) }
  }
}
