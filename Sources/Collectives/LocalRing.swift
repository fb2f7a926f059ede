import AlignmentCore

/// The messages of a ring of ranks that are threads of one process.
///
/// `@unchecked Sendable`: `waiting` is read and written under `monitor`; what it points to stays until it was taken.
final class LocalRing: @unchecked Sendable {
  private let monitor = Monitor()
  /// For each rank the message to it that it has not taken yet.
  private var waiting: [UnsafeRawBufferPointer?]

  init(size: Int) { waiting = Array(repeating: nil, count: size) }

  func post(_ message: UnsafeRawBufferPointer, to rank: Int) {
    monitor.locked {
      precondition(waiting[rank] == nil, "a message before the last was taken")
      waiting[rank] = message
    }
  }

  /// Copies the message to a rank if it is there.
  func take(into memory: UnsafeMutableRawBufferPointer, by rank: Int) -> Bool {
    monitor.locked {
      guard let message = waiting[rank] else { return false }
      precondition(message.count == memory.count, "a message of \(message.count) bytes where \(memory.count) are due")
      if !memory.isEmpty { memory.copyMemory(from: message) }
      waiting[rank] = nil
      return true
    }
  }

  func isTaken(by rank: Int) -> Bool { monitor.locked { waiting[rank] == nil } }
}

/// A rank's end of a ``LocalRing``.
final class LocalRingChannel: RingChannel {
  let rank: Int
  let size: Int
  private let ring: LocalRing
  private var incoming: UnsafeMutableRawBufferPointer?

  init(rank: Int, size: Int, ring: LocalRing) {
    self.rank = rank
    self.size = size
    self.ring = ring
  }

  private var right: Int { (rank + 1) % size }

  func start(send: UnsafeRawBufferPointer, receive: UnsafeMutableRawBufferPointer) {
    ring.post(send, to: right)
    incoming = receive
  }

  func isDone() -> Bool {
    if let memory = incoming, ring.take(into: memory, by: rank) { incoming = nil }
    return incoming == nil && ring.isTaken(by: right)
  }
}
