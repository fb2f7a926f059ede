import AlignmentCore
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// Whether a signal asked this process to save and stop.
package enum StopRequest {
  private static let requested = Atomic<Bool>(false)
  private static let terminated = Atomic<Bool>(false)
  private static let isTraining = Atomic<Bool>(false)

  /// Lets SIGUSR1, SIGTERM and SIGINT ask for a stop; to be called before MPI starts, whose launcher forwards them.
  ///
  /// Before training has begun there is nothing to save, and the process ends at once, to be started again. While it
  /// trains a second SIGTERM or SIGINT ends it at once: the last checkpoint is whole.
  package static func installHandlers() {
    let signals = [SIGUSR1, SIGTERM, SIGINT]
    for number in signals {
      signal(number) { received in
        guard StopRequest.isTraining.load(ordering: .relaxed) else { _exit(Fault.Kind.interrupted.rawValue) }
        StopRequest.requested.store(true, ordering: .relaxed)
        guard received != SIGUSR1 else { return }
        if StopRequest.terminated.exchange(true, ordering: .relaxed) { _exit(128 + received) }
      }
    }
    unblock(signals)
  }

  /// From now on a stop waits for the end of a step.
  static func deferToSteps() { isTraining.store(true, ordering: .relaxed) }

  /// From now on a signal ends the process at once again.
  static func endSteps() { isTraining.store(false, ordering: .relaxed) }

  package static var isPending: Bool { requested.load(ordering: .relaxed) }

  /// A parent may have left signals blocked.
  private static func unblock(_ signals: [Int32]) {
    var mask = sigset_t()
    sigemptyset(&mask)
    for number in signals { sigaddset(&mask, number) }
    pthread_sigmask(SIG_UNBLOCK, &mask, nil)
  }
}
