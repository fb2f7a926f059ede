import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// Progress for people, on stderr: one line that renews itself on a terminal, a new line every few seconds elsewhere.
final class Progress {
  private let total: Int
  private let isEnabled: Bool
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private let interval: Double
  private let started = Clock.seconds
  private let firstStep: Int
  private var lastShown = 0.0
  private var tokens = 0

  init(from step: Int, to total: Int, isEnabled: Bool) {
    firstStep = step
    self.total = total
    self.isEnabled = isEnabled
    interval = isTerminal ? 0.2 : 5
  }

  /// Tells that a step is done; `details` are shown behind the counters.
  func update(step: Int, tokens newTokens: Int, details: String) {
    tokens += newTokens
    let now = Clock.seconds
    guard isEnabled, now - lastShown >= interval || step == total || step == firstStep + 1 else { return }
    lastShown = now
    let elapsed = now - started
    let remaining = elapsed / Double(step - firstStep) * Double(total - step)
    let line =
      "step \(step)/\(total)  \(details)  \(Int(Double(tokens) / elapsed)) tokens/s  ETA \(Self.clock(remaining))"
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

/// Monotonic time.
enum Clock {
  static var seconds: Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9
  }
}
