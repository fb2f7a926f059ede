#if canImport(Glibc)
  import Glibc
#endif

/// A thread of the system; whoever made it joins or detaches it.
package struct SystemThread: Sendable {
  private let handle: pthread_t

  /// Starts a thread, or gives nil where the system has none.
  package init?(_ body: @escaping @Sendable () -> Void) {
    var handle = pthread_t()
    let context = Unmanaged.passRetained(Body(body))
    let code = pthread_create(
      &handle, nil,
      { context in
        Unmanaged<Body>.fromOpaque(context!).takeRetainedValue().run()
        return nil
      }, context.toOpaque())
    guard code == 0 else {
      context.release()
      return nil
    }
    self.handle = handle
  }

  /// Returns when the thread has ended.
  package func join() { pthread_join(handle, nil) }

  /// Leaves the thread to itself.
  package func detach() { pthread_detach(handle) }

  /// A closure that a C function pointer can carry as its context.
  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }
}
