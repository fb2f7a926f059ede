import AlignmentCore
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// Ends a process that makes no progress, because Open MPI waits for ever for a peer that hangs.
enum Watchdog {
  private static let lastProgress = Atomic<Int>(0)
  private static let limit = Atomic<Int>(0)

  /// Begins to watch from a thread of its own; 0 seconds watches nothing.
  static func start(seconds: Int, rank: Int) {
    guard seconds > 0 else { return }
    progress()
    guard limit.exchange(seconds, ordering: .relaxed) == 0 else { return }
    var thread = pthread_t()
    let context = Unmanaged.passRetained(Watched(rank: rank)).toOpaque()
    pthread_create(
      &thread, nil,
      { context in
        let watched = Unmanaged<Watched>.fromOpaque(context!).takeRetainedValue()
        while true {
          let last = Watchdog.lastProgress.load(ordering: .relaxed)
          let limit = Watchdog.limit.load(ordering: .relaxed)
          watched.heartbeat?.tell(limit: limit, progress: last)
          let idle = monotonicSeconds() - last
          if limit > 0, idle > limit { giveUp(watched.name, idle) }
          sleep(1)
        }
      }, context)
    pthread_detach(thread)
  }

  /// Stops watching, for work of unknown length.
  static func stop() { limit.store(0, ordering: .relaxed) }

  /// Tells that something was finished.
  static func progress() { lastProgress.store(monotonicSeconds(), ordering: .relaxed) }

  private final class Watched {
    let name: String
    var heartbeat: Heartbeat?

    init(rank: Int) {
      name = "rank \(rank)"
      heartbeat = Heartbeat(rank: rank)
    }
  }
}

private func giveUp(_ name: String, _ idle: Int) -> Never {
  let fault = Fault(
    .watchdog, "no progress for \(idle) s: a peer hangs or the work is larger than the limit", at: name,
    hint: "start again to resume from the last checkpoint, or raise watchdog=SECONDS")
  StandardError.write("adalign: \(fault)\n")
  _exit(Fault.Kind.watchdog.rawValue)
}

private func monotonicSeconds() -> Int {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return now.tv_sec
}
