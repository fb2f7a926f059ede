import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// Threads of the system: labelling waits for the network, which the pool of Swift's tasks is not made for.
enum Threads {
  /// Runs `body` on as many threads as asked, or as the system has, and returns when all have ended.
  ///
  /// - Throws: ``Fault`` of kind `resource` where it has none.
  static func run(_ count: Int, _ body: @escaping @Sendable () -> Void) throws {
    let threads = (0..<count).compactMap { _ in start(body) }
    guard count == 0 || !threads.isEmpty else {
      throw Fault(.resource, "the system has no thread for labelling", hint: "raise the limit of processes (ulimit -u)")
    }
    for thread in threads { pthread_join(thread, nil) }
  }

  private static func start(_ body: @escaping @Sendable () -> Void) -> pthread_t? {
    var thread = pthread_t()
    let context = Unmanaged.passRetained(Body(body))
    let code = pthread_create(
      &thread, nil,
      { context in
        Unmanaged<Body>.fromOpaque(context!).takeRetainedValue().run()
        return nil
      }, context.toOpaque())
    guard code == 0 else {
      context.release()
      return nil
    }
    return thread
  }

  /// A closure that a C function pointer can carry as its context.
  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }
}
