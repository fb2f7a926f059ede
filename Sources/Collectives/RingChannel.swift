import Synchronization

/// Messages to the right neighbour on a ring of ranks and from the left one, that block nobody.
///
/// Belongs to one thread, which need not be that of the communicator it was made by.
package protocol RingChannel: AnyObject {
  var rank: Int { get }
  var size: Int { get }

  /// Begins to send and to receive; both memories must be left alone until ``isDone()``.
  func start(send: UnsafeRawBufferPointer, receive: UnsafeMutableRawBufferPointer) throws
  /// Whether the messages started last have come and gone.
  func isDone() throws -> Bool
}

/// A way to pass something around a ring of ranks.
package protocol RingLink {
  var rank: Int { get }
  var size: Int { get }
  /// Sends to the right neighbour while receiving from the left one; the lengths may differ, and may be 0.
  func pass(send: UnsafeRawBufferPointer, receive: UnsafeMutableRawBufferPointer) throws
}

/// The ring of the ranks' main threads.
package struct BlockingLink: RingLink {
  private let communicator: any Communicator
  package var rank: Int { communicator.rank }
  package var size: Int { communicator.size }

  package init(_ communicator: any Communicator) { self.communicator = communicator }

  package func pass(send: UnsafeRawBufferPointer, receive: UnsafeMutableRawBufferPointer) throws {
    try communicator.exchange(
      send: send, to: (rank + 1) % size, receive: receive, from: (rank + size - 1) % size)
  }
}

/// A ring for a thread beside one that computes.
struct InterruptibleLink: RingLink {
  private let channel: any RingChannel
  private let isStopping: StopFlag
  var rank: Int { channel.rank }
  var size: Int { channel.size }

  /// - Parameters:
  ///   - isStopping: ends a wait for messages that will never come.
  init(_ channel: any RingChannel, isStopping: StopFlag) {
    self.channel = channel
    self.isStopping = isStopping
  }

  func pass(send: UnsafeRawBufferPointer, receive: UnsafeMutableRawBufferPointer) throws {
    try channel.start(send: send, receive: receive)
    let patience = Patience()
    while try !channel.isDone() {
      guard !isStopping.isRaised else { throw Interruption() }
      patience.pause()
    }
  }

  /// A wait that was given up because its thread is to end.
  struct Interruption: Error {}
}

/// A wish that one thread has and another looks for.
final class StopFlag: Sendable {
  private let value = Atomic<Bool>(false)
  var isRaised: Bool { value.load(ordering: .relaxed) }
  func raise() { value.store(true, ordering: .relaxed) }
}
