import AlignmentCore

/// Threads of the system: labelling waits for the network, which the pool of Swift's tasks is not made for.
enum Threads {
  /// Runs `body` on as many threads as asked, or as the system has, and returns when all have ended.
  ///
  /// - Throws: ``Fault`` of kind `resource` where it has none.
  static func run(_ count: Int, _ body: @escaping @Sendable () -> Void) throws {
    let threads = (0..<count).compactMap { _ in SystemThread(body) }
    guard count == 0 || !threads.isEmpty else {
      throw Fault(.resource, "the system has no thread for labelling", hint: "raise the limit of processes (ulimit -u)")
    }
    for thread in threads { thread.join() }
  }
}
