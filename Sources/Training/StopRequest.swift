import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// Whether a signal asked this process to save and stop.
package enum StopRequest {
  private static let requested = Atomic<Bool>(false)

  /// Lets SIGUSR1, SIGTERM and SIGINT set the flag; to be called before MPI starts, whose launcher forwards them.
  package static func installHandlers() {
    for number in [SIGUSR1, SIGTERM, SIGINT] {
      signal(number) { received in
        // A second interrupt ends the process at once: the last checkpoint is whole.
        if StopRequest.requested.exchange(true, ordering: .relaxed), received != SIGUSR1 { _exit(128 + received) }
      }
    }
  }

  package static var isPending: Bool { requested.load(ordering: .relaxed) }
}
