import AlignmentCore
import Synchronization

/// A thread that does numbered tasks in their order, each as soon as it is released.
///
/// Numbers count from 0 and never begin anew. Nothing is allocated after the thread has started.
final class CommunicationThread {
  private let shared: Shared
  private let thread: SystemThread

  /// - Parameters:
  ///   - isStopping: raised when this object goes, to end a task that waits.
  ///   - perform: does a task; nobody else may touch what it works on between release and ``wait(for:)``.
  /// - Throws: ``Fault`` of kind `resource` if the system has no thread.
  init(isStopping: StopFlag, _ perform: @escaping (Int) throws -> Void) throws {
    let shared = Shared(isStopping, perform)
    guard let thread = SystemThread({ shared.run() }) else {
      throw Fault(
        .resource, "the system has no thread for communication", at: "communication",
        hint: "raise the limit of processes (ulimit -u), or use communication=ring")
    }
    (self.shared, self.thread) = (shared, thread)
  }

  deinit {
    shared.stop()
    thread.join()
  }

  /// Allows all tasks before a number.
  func release(before end: Int) { shared.release(before: end) }

  /// Returns when all tasks before a number are done, or none will be done any more.
  func wait(for end: Int) { shared.wait(for: end) }

  /// - Throws: what ended the thread.
  func check() throws { if let fault = shared.fault { throw fault } }

  /// Seconds spent in tasks so far.
  var busySeconds: Double { shared.busySeconds }

  /// What both threads see.
  ///
  /// `@unchecked Sendable`: `released`, `failure` and `busy` are read and written under `monitor`; `perform` is called by
  /// the thread alone.
  private final class Shared: @unchecked Sendable {
    private let perform: (Int) throws -> Void
    private let isStopping: StopFlag
    private let monitor = Monitor()
    private let done = Atomic<Int>(0)
    private var released = 0
    private var failure: (any Error)?
    private var busy = 0.0

    init(_ isStopping: StopFlag, _ perform: @escaping (Int) throws -> Void) {
      self.isStopping = isStopping
      self.perform = perform
    }

    func run() {
      while let task = next() {
        let started = MonotonicClock.seconds
        do { try perform(task) } catch { return fail(error) }
        finish(task, seconds: MonotonicClock.seconds - started)
      }
    }

    /// The next task when it is released; nil when there will be none.
    private func next() -> Int? {
      monitor.locked {
        let task = done.load(ordering: .relaxed)
        while task >= released, !isStopping.isRaised { monitor.wait() }
        return isStopping.isRaised ? nil : task
      }
    }

    private func finish(_ task: Int, seconds: Double) {
      monitor.locked {
        busy += seconds
        done.store(task + 1, ordering: .releasing)
        monitor.wakeAll()
      }
    }

    private func fail(_ error: any Error) {
      monitor.locked {
        failure = error
        monitor.wakeAll()
      }
    }

    func release(before end: Int) {
      monitor.locked {
        guard end > released else { return }
        released = end
        monitor.wakeAll()
      }
    }

    func wait(for end: Int) {
      guard done.load(ordering: .acquiring) < end else { return }
      monitor.locked {
        while done.load(ordering: .relaxed) < end, failure == nil { monitor.wait() }
      }
    }

    func stop() {
      monitor.locked {
        isStopping.raise()
        monitor.wakeAll()
      }
    }

    var fault: (any Error)? { monitor.locked { failure } }
    var busySeconds: Double { monitor.locked { busy } }
  }
}
