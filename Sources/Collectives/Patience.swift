import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// The pauses between two looks at what others will bring about.
///
/// There are none at first, for what is about to happen; then they grow with what was waited, so that a wait is a few
/// percent too long at most and leaves its core to others: to threads that compute, to ranks beside it, and to the
/// quota of a container, which counts busy waiting as work.
struct Patience {
  /// Seconds without pauses.
  private static let eagerness = 200e-6
  /// The part of what was waited so far that is slept, and the most seconds of it: a connection's buffers must not run
  /// full or empty meanwhile.
  private static let (share, longest) = (1.0 / 16, 200e-6)
  private let started = MonotonicClock.seconds

  func pause() {
    let waited = MonotonicClock.seconds - started
    guard waited > Self.eagerness else { return }
    var nap = timespec(tv_sec: 0, tv_nsec: Int(min(waited * Self.share, Self.longest) * 1e9))
    nanosleep(&nap, nil)
  }
}
