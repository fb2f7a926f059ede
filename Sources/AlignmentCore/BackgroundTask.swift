import Synchronization

/// A thread of the system that computes one value while the thread that made it goes on.
///
/// What the body touches is the body's alone until ``wait(seconds:)`` has said that it is done. It never calls MPI.
///
/// `@unchecked Sendable`: `value` is written by the thread before `isDone` is set, and read only after that.
package final class BackgroundTask<Value>: @unchecked Sendable {
  private let body: () -> Value
  private let monitor = Monitor()
  private let isDone = Atomic(false)
  private var value: Value?

  /// Starts the thread; where the system has none left, computes the value here and now.
  package init(_ body: @escaping () -> Value) {
    self.body = body
    // The thread keeps this object alive until it has told that it is done.
    if let thread = SystemThread({ self.compute() }) { thread.detach() } else { compute() }
  }

  /// Whether the value is there.
  package var isFinished: Bool { isDone.load(ordering: .acquiring) }

  /// Waits for the value, some seconds at most; whether it is there.
  package func wait(seconds: Double) -> Bool {
    let deadline = MonotonicClock.seconds + seconds
    return monitor.locked {
      while !isFinished, monitor.wait(until: deadline) {}
      return isFinished
    }
  }

  /// The value, however long it takes.
  package func result() -> Value {
    monitor.locked { while !isFinished { monitor.wait() } }
    guard let value else { preconditionFailure("a task that is done has a value") }
    return value
  }

  private func compute() {
    let computed = body()
    monitor.locked {
      value = computed
      isDone.store(true, ordering: .releasing)
      monitor.wakeAll()
    }
  }
}
