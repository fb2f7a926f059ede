#if canImport(Glibc)
  import Glibc
#endif

/// Preferences between probability and logit, such that exchanging the responses exchanges q and 1 − q to the last bit.
package enum PreferenceLogit {
  /// Logits beyond ± this are as good as certain: 1 − q is then below the resolution of q near 1. A verdict that lacks an
  /// option altogether, whose logit is infinite, counts as this much.
  package static let bound = 36.0

  /// σ(logit), with `probability(-x) == 1 - probability(x)`.
  package static func probability(_ logit: Double) -> Double {
    mirrored(logit) { 1 / (1 + exp(-$0)) }
  }

  /// log(q/(1 − q)) within ± ``bound``, with `logit(1 - q) == -logit(q)` for the q of ``probability(_:)``.
  package static func logit(_ q: Double) -> Double {
    guard q >= 0.5 else { return -logit(1 - q) }
    return min(bound, log(q) - log(1 - q))
  }

  /// The number next to q of which 1 − (1 − q) is the number itself.
  package static func mirrorable(_ q: Double) -> Double { 1 - (1 - q) }

  /// Values of a function with f(−x) = 1 − f(x), of which the half above 0 is given; there it is at least ½, so that 1 − f is
  /// exact.
  package static func mirrored(_ x: Double, _ half: (Double) -> Double) -> Double {
    x >= 0 ? half(x) : 1 - half(-x)
  }
}
