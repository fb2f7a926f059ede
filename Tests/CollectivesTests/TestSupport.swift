import AlignmentCore
import Collectives
import Foundation

/// Floats between −1 and 1 that owe nothing to the code under test.
func pseudoRandom(_ count: Int, seed: Int) -> [Float] {
  var state = UInt64(truncatingIfNeeded: seed) &* 0x9E37_79B9_7F4A_7C15 | 1
  return (0..<count).map { _ in
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Float(Int64(bitPattern: state) >> 40) * 0x1p-23
  }
}

/// A buffer with the given values.
func buffer(_ values: [Float]) throws -> FloatBuffer {
  let buffer = try FloatBuffer(count: values.count, purpose: "test")
  for (index, value) in values.enumerated() { buffer.view.base[index] = value }
  return buffer
}

/// Messages under way between the ranks of a ``MailCommunicator``.
///
/// `@unchecked Sendable`: everything is read and written under `condition`.
final class PostOffice: @unchecked Sendable {
  struct Undelivered: Error {
    let source: Int
    let destination: Int
  }
  struct WrongLength: Error {
    let sent: Int
    let expected: Int
  }

  /// Seconds that a rank waits for a message; all ranks together take less than one, several on a loaded machine.
  static let patience = 5.0
  private let condition = NSCondition()
  private var queues: [[Int]: [[UInt8]]] = [:]

  func send(_ message: UnsafeRawBufferPointer, from source: Int, to destination: Int) {
    condition.lock()
    defer { condition.unlock() }
    queues[[source, destination], default: []].append(Array(message))
    condition.broadcast()
  }

  func receive(_ message: UnsafeMutableRawBufferPointer, from source: Int, to destination: Int) throws {
    condition.lock()
    defer { condition.unlock() }
    let deadline = Date(timeIntervalSinceNow: Self.patience)
    while queues[[source, destination], default: []].isEmpty {
      if !condition.wait(until: deadline) { throw Undelivered(source: source, destination: destination) }
    }
    let received = queues[[source, destination], default: []].removeFirst()
    guard received.count == message.count else { throw WrongLength(sent: received.count, expected: message.count) }
    message.copyBytes(from: received)
  }

  /// Messages that nobody has asked for.
  var unclaimed: Int {
    condition.lock()
    defer { condition.unlock() }
    return queues.values.reduce(0) { $0 + $1.count }
  }
}

/// Ranks whose messages behave as those of MPI: they are matched in order between two ranks only, sending does not wait,
/// and a length that the receiver does not expect, or a message that never comes, is an error instead of a hang.
final class MailCommunicator: Communicator {
  private let local: LocalCommunicator
  private let office: PostOffice

  init(_ local: LocalCommunicator, _ office: PostOffice) {
    self.local = local
    self.office = office
  }

  var rank: Int { local.rank }
  var size: Int { local.size }
  var hostRank: Int { local.hostRank }
  var hostSize: Int { local.hostSize }

  func barrier() { local.barrier() }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) { local.broadcast(bytes, from: root) }

  func allReduce(_ operation: ReductionOperator, _ values: UnsafeMutableBufferPointer<Double>) {
    local.allReduce(operation, values)
  }

  func sum(_ values: UnsafeMutableBufferPointer<Int64>) { local.sum(values) }

  func sum(_ values: UnsafeMutableBufferPointer<Float>) { local.sum(values) }

  func exchange(
    send: UnsafeRawBufferPointer, to destination: Int, receive: UnsafeMutableRawBufferPointer, from source: Int
  ) throws {
    office.send(send, from: rank, to: destination)
    try office.receive(receive, from: source, to: rank)
  }

  func abort(code: Int32) -> Never { local.abort(code: code) }
}
