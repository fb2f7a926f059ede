import AlignmentCore
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// Ends a process that makes no progress, because Open MPI waits for ever for a peer that hangs.
///
/// All of it is written by the thread that computes, and read by the thread that watches.
enum Watchdog {
  /// What a rank is doing, for the message of the one that gives up.
  enum Phase: String, CaseIterable {
    case startUp = "start-up"
    case modelLoad = "model load"
    case step
    case evaluation
    case sampling
    case judge
    case weighing
    case asking = "asking the expert"
    case labelling
    case mixing
    case checkpoint
    case export

    /// Seconds without progress that are no cause for concern; some phases read and tokenise whole files.
    fileprivate var patience: Int {
      switch self {
      case .startUp, .modelLoad, .weighing, .asking, .labelling, .mixing: 1800
      case .step, .evaluation, .sampling, .judge, .checkpoint, .export: 300
      }
    }
  }

  /// How long to wait.
  enum Limit: Equatable {
    /// 300 s, or 20 steps of the usual length where that is more; half an hour where whole files are read.
    case automatic
    /// So many seconds in every phase; 0 waits for ever.
    case seconds(Int)
  }

  /// Steps of the usual length after which something hangs.
  private static let stepsToWait = 20.0

  private static let lastProgress = Atomic<Int>(0)
  private static let phase = Atomic<Int>(0)
  private static let isWatching = Atomic<Bool>(false)
  private static let hasThread = Atomic<Bool>(false)
  /// Seconds for every phase, 0 for ever, negative for what suits the phase.
  private static let limit = Atomic<Int>(0)
  /// What steps suggest, in seconds.
  private static let stepLimit = Atomic<Int>(0)

  /// Watches while `body` runs; inside of another one, only the limit is new.
  static func watch<Result>(_ limit: Limit, rank: Int, _ body: () throws -> Result) rethrows -> Result {
    let seconds = if case .seconds(let seconds) = limit { seconds } else { -1 }
    let (outerLimit, wasWatching) = (
      Self.limit.exchange(seconds, ordering: .relaxed), isWatching.load(ordering: .relaxed)
    )
    progress()
    isWatching.store(true, ordering: .relaxed)
    defer {
      Self.limit.store(outerLimit, ordering: .relaxed)
      isWatching.store(wasWatching, ordering: .relaxed)
    }
    startThread(rank: rank)
    return try body()
  }

  /// Names what `body` does.
  static func during<Result>(_ phase: Phase, _ body: () throws -> Result) rethrows -> Result {
    let outer = enter(phase)
    defer { enter(outer) }
    return try body()
  }

  /// Names what follows, and gives the name of what was done until now.
  @discardableResult
  static func enter(_ phase: Phase) -> Phase {
    let place = Phase.allCases.firstIndex(of: phase) ?? 0
    progress()
    return Phase.allCases[Self.phase.exchange(place, ordering: .relaxed)]
  }

  /// Tells that something was finished.
  static func progress() { lastProgress.store(monotonicSeconds(), ordering: .relaxed) }

  /// Tells how long a step usually takes.
  static func expect(stepSeconds: Double) {
    stepLimit.store(Int(min(stepSeconds * stepsToWait, 1e9)), ordering: .relaxed)
  }

  private static func startThread(rank: Int) {
    guard !hasThread.exchange(true, ordering: .relaxed) else { return }
    _ = BackgroundTask {
      var heartbeat = Heartbeat(rank: rank)
      var lastLook = monotonicSeconds()
      while true {
        let limit = isWatching.load(ordering: .relaxed) ? currentLimit : nil
        heartbeat?.tell(limit: limit ?? 0, progress: lastProgress.load(ordering: .relaxed))
        sleep(1)
        let now = monotonicSeconds()
        // Who was stopped as a whole, and goes on, is not the one that waits.
        if now - lastLook > stopSeconds { progress() }
        lastLook = now
        let idle = now - lastProgress.load(ordering: .relaxed)
        guard isWatching.load(ordering: .relaxed), let limit = currentLimit, idle > limit else { continue }
        giveUp(rank: rank, idle: idle)
      }
    }
  }

  private static var currentPhase: Phase { Phase.allCases[phase.load(ordering: .relaxed)] }

  /// Seconds, or nil to wait for ever.
  private static var currentLimit: Int? {
    let seconds = limit.load(ordering: .relaxed)
    guard seconds < 0 else { return seconds == 0 ? nil : seconds }
    return max(currentPhase.patience, stepLimit.load(ordering: .relaxed))
  }

  /// Speaks and ends the process, after a moment in which the other ranks that wait can speak as well: the one that says
  /// nothing is the one that hangs.
  private static func giveUp(rank: Int, idle: Int) -> Never {
    let fault = Fault(
      .noProgress, "no progress for \(idle) s in phase \(currentPhase.rawValue); a rank that does not say so hangs",
      at: "rank \(rank) on \(Host.name)",
      hint: "start again to resume from the last checkpoint; watchdog=SECONDS allows for longer work")
    StandardError.write("adalign: \(fault)\n")
    sleep(graceSeconds)
    _exit(Fault.Kind.noProgress.rawValue)
  }

  private static let graceSeconds: UInt32 = 2
  /// Seconds between two looks, which are one second apart, after which the process must have been stopped.
  private static let stopSeconds = 3
}

/// The usual length of a step: the median of the last ones.
struct StepTimes {
  private var seconds: [Double] = []
  private var next = 0
  /// As many as are remembered.
  private static let capacity = 51

  /// Remembers a step, and gives the median.
  mutating func add(_ step: Double) -> Double {
    if seconds.count < Self.capacity { seconds.append(step) } else { seconds[next] = step }
    next = (next + 1) % Self.capacity
    return seconds.sorted()[seconds.count / 2]
  }
}

private func monotonicSeconds() -> Int {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return now.tv_sec
}
