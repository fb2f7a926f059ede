import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// Whether a signal asked this process to save and stop.
package enum StopRequest {
  private static let requested = Atomic<Bool>(false)
  private static let terminated = Atomic<Bool>(false)

  /// Lets SIGUSR1, SIGTERM and SIGINT set the flag; to be called before MPI starts, whose launcher forwards them.
  ///
  /// A second SIGTERM or SIGINT ends the process at once: the last checkpoint is whole.
  package static func installHandlers() {
    for number in [SIGUSR1, SIGTERM, SIGINT] {
      signal(number) { received in
        StopRequest.requested.store(true, ordering: .relaxed)
        guard received != SIGUSR1 else { return }
        if StopRequest.terminated.exchange(true, ordering: .relaxed) { _exit(128 + received) }
      }
    }
  }

  package static var isPending: Bool { requested.load(ordering: .relaxed) }
}
