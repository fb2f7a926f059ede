import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// A thread of the system that computes one value while the thread that made it goes on.
///
/// What the body touches is the body's alone until ``wait(seconds:)`` has said that it is done. It never calls MPI.
///
/// `@unchecked Sendable`: `value` is written by the thread before `isDone` is set, and read only after that.
package final class BackgroundTask<Value>: @unchecked Sendable {
  private let body: () -> Value
  private var value: Value?
  private let isDone = Atomic(false)
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  /// Starts the thread; where the system has none left, computes the value here and now.
  package init(_ body: @escaping () -> Value) {
    self.body = body
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    // Waiting must not depend on the date, which may jump.
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
    // The thread keeps this object alive until it has told that it is done.
    if !Callback({ self.compute() }).start() { compute() }
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// Whether the value is there.
  package var isFinished: Bool { isDone.load(ordering: .acquiring) }

  /// Waits for the value, a whole number of seconds at most; whether it is there.
  package func wait(seconds: Int) -> Bool {
    var deadline = timespec()
    clock_gettime(CLOCK_MONOTONIC, &deadline)
    deadline.tv_sec += seconds
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while !isFinished, pthread_cond_timedwait(condition, mutex, &deadline) == 0 {}
    return isFinished
  }

  /// The value, however long it takes.
  package func result() -> Value {
    while !wait(seconds: 60) {}
    guard let value else { preconditionFailure("a task that is done has a value") }
    return value
  }

  private func compute() {
    let computed = body()
    pthread_mutex_lock(mutex)
    value = computed
    isDone.store(true, ordering: .releasing)
    pthread_cond_broadcast(condition)
    pthread_mutex_unlock(mutex)
  }
}

/// A closure that a C function pointer can carry as its context.
private final class Callback: Sendable {
  let run: @Sendable () -> Void
  init(_ run: @escaping @Sendable () -> Void) { self.run = run }

  /// Runs it once on a thread of its own; gives false where the system has none.
  func start() -> Bool {
    let context = Unmanaged.passRetained(self)
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { context in
        Unmanaged<Callback>.fromOpaque(context!).takeRetainedValue().run()
        return nil
      }, context.toOpaque())
    guard code == 0 else {
      context.release()
      return false
    }
    pthread_detach(thread)
    return true
  }
}
