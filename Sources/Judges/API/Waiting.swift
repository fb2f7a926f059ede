import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// The time of day, pauses, and the wish to stop: what labelling needs of the world, so that tests need no time.
package struct Waiting: Sendable {
  /// Seconds since 1970.
  package var now: @Sendable () -> Double
  /// Waits for some seconds, or less where a stop is asked for.
  package var pause: @Sendable (Double) -> Void
  /// Whether to stop after the requests that are under way.
  package var isStopping: @Sendable () -> Bool

  package init(
    now: @escaping @Sendable () -> Double, pause: @escaping @Sendable (Double) -> Void,
    isStopping: @escaping @Sendable () -> Bool = { false }
  ) {
    self.now = now
    self.pause = pause
    self.isStopping = isStopping
  }

  /// The time of the system; a wish to stop ends a pause within a quarter of a second.
  package static func system(isStopping: @escaping @Sendable () -> Bool = { false }) -> Waiting {
    Waiting(
      now: { seconds(CLOCK_REALTIME) },
      pause: { duration in
        let end = seconds(CLOCK_MONOTONIC) + duration
        while case let rest = end - seconds(CLOCK_MONOTONIC), rest > 0, !isStopping() {
          usleep(UInt32(min(rest, 0.25) * 1e6))
        }
      }, isStopping: isStopping)
  }

  private static func seconds(_ clock: clockid_t) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  /// The time of day as ISO 8601 writes it, in UTC.
  func timestamp() -> String {
    var seconds = time_t(now())
    var parts = tm()
    gmtime_r(&seconds, &parts)
    var text = [CChar](repeating: 0, count: 32)
    let count = strftime(&text, text.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
    return String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
