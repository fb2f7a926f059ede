import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// Progress for people, on stderr: one line that renews itself on a terminal, a new line every few seconds elsewhere.
final class Progress {
  private let total: Int
  private let unit: String
  private let isEnabled: Bool
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private let interval: Double
  private let started: Double
  private let firstStep: Int
  private var lastShown = 0.0
  private var lastStep: Int
  private var tokens = 0

  /// - Parameters:
  ///   - unit: what is counted.
  ///   - started: the time at which the first of them began.
  init(
    from step: Int, to total: Int, unit: String = "step", started: Double = MonotonicClock.seconds, isEnabled: Bool
  ) {
    firstStep = step
    lastStep = step
    self.started = started
    self.total = total
    self.unit = unit
    self.isEnabled = isEnabled
    interval = isTerminal ? 0.2 : 5
  }

  /// Tells how many steps are done; `details` are shown behind the counters.
  func update(step: Int, tokens newTokens: Int, details: String = "") {
    tokens += newTokens
    let now = MonotonicClock.seconds
    let isNotable = step != lastStep && (step == total || step == firstStep + 1)
    guard isEnabled, now - lastShown >= interval || isNotable else { return }
    (lastShown, lastStep) = (now, step)
    let elapsed = max(now - started, 1e-9)
    let rate = "\(Int(Double(tokens) / elapsed)) tokens/s"
    let seconds = elapsed / Double(step - firstStep) * Double(total - step)
    let remaining = step > firstStep ? "ETA \(Self.clock(seconds))" : ""
    let line = ["\(unit) \(step)/\(total)", details, rate, remaining].filter { !$0.isEmpty }.joined(separator: "  ")
    StandardError.write(isTerminal ? "\r\u{1b}[2K\(bar(step)) \(line)" : "\(line)\n")
    if isTerminal, step == total { StandardError.write("\n") }
  }

  private func bar(_ step: Int) -> String {
    let width = 20
    let filled = width * step / max(total, 1)
    return "[" + String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled) + "]"
  }

  private static func clock(_ seconds: Double) -> String {
    let total = Int(seconds.rounded())
    let pad = { (n: Int) in n < 10 ? "0\(n)" : "\(n)" }
    return total >= 3600
      ? "\(total / 3600):\(pad(total / 60 % 60)):\(pad(total % 60))" : "\(total / 60):\(pad(total % 60))"
  }
}
