#if canImport(Glibc)
  import Glibc
#endif

/// A lock, and a condition that threads wait for while they hold it.
///
/// `@unchecked Sendable`: mutex and condition are made to be used by several threads, and are never moved.
package final class Monitor: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init() {
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    // Waiting must not depend on the date, which may jump.
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  package func locked<T>(_ body: () throws -> T) rethrows -> T {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }

  /// Lets the lock go until `wakeAll`, and takes it again; to be called with it, in a loop.
  package func wait() { pthread_cond_wait(condition, mutex) }

  /// The same, but not after a moment of ``MonotonicClock``; false when that has come.
  package func wait(until deadline: Double) -> Bool {
    var moment = timespec(tv_sec: Int(deadline), tv_nsec: Int((deadline - deadline.rounded(.down)) * 1e9))
    return pthread_cond_timedwait(condition, mutex, &moment) == 0
  }

  package func wakeAll() { pthread_cond_broadcast(condition) }
}
