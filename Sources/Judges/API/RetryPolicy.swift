import AlignmentCore
import CCurl

/// How long to wait before a request is sent again: the policy of OpenAI's own clients.
struct RetryPolicy: Sendable, Equatable {
  /// What a server says of another try.
  enum Advice: Sendable, Equatable {
    case none
    /// Seconds, at most ``longestAdvice``.
    case wait(Double)
    /// It asks for a longer pause than a run should make.
    case giveUp(Double)
  }

  static let longestAdvice = 120.0

  /// The advice in a server's headers: `retry-after-ms`, else `retry-after` in seconds or as a date.
  static func advice(in headers: [String: String], now: Double) -> Advice {
    let milliseconds = headers["retry-after-ms"].flatMap(Double.init).map { $0 / 1000 }
    let seconds = milliseconds ?? headers["retry-after"].flatMap { Double($0) ?? Self.seconds(until: $0, now: now) }
    guard let seconds, seconds.isFinite, seconds > 0 else { return .none }
    return seconds > longestAdvice ? .giveUp(seconds) : .wait(seconds)
  }

  /// Half a second that doubles with each try up to eight, less up to a quarter of it.
  ///
  /// - Parameters:
  ///   - attempt: 0 before the first retry.
  ///   - jitter: in [0, 1).
  static func backoff(_ attempt: Int, jitter: Double) -> Double {
    min(0.5 * Double(1 << min(attempt, 10)), 8) * (1 - 0.25 * jitter)
  }

  /// Whether a status is worth another try where the server does not say; it may say so in `x-should-retry`.
  static func isTransient(status: Int, headers: [String: String]) -> Bool {
    switch headers["x-should-retry"] {
    case "true": true
    case "false": false
    default: status == 408 || status == 409 || status == 429 || status >= 500
    }
  }

  /// A date in any of the three forms of HTTP (RFC 9110 §5.6.7).
  private static func seconds(until date: String, now: Double) -> Double? {
    let time = curl_getdate(date, nil)
    return time == -1 ? nil : Double(time) - now
  }
}
