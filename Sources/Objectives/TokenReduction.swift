import AlignmentCore

/// How the log-probabilities of a completion's tokens become one number.
///
/// By default they are added. LD-DPO (Liu et al. 2024, arXiv 2409.06411, eq. 9) counts the tokens beyond the length of the
/// group's shorter completion with a factor α < 1. Humanline (Ethayarajh et al. 2025, arXiv 2509.24207, §4) clamps each
/// token's log-ratio; a clamped token has no gradient.
package struct TokenReduction: Sendable, Equatable {
  /// Factor on the tokens beyond the shorter completion.
  package var excessFactor: Double
  /// Bounds of a token's log-ratio; nil leaves it alone.
  package var clamp: ClosedRange<Double>?

  package init(excessFactor: Double = 1, clamp: ClosedRange<Double>? = nil) {
    self.excessFactor = excessFactor
    self.clamp = clamp
  }

  /// Whether sums are all it needs; otherwise the reference's log-probability of each token must be known.
  package var isPlain: Bool { excessFactor == 1 && clamp == nil }

  /// The reduced log-probabilities of a completion under policy and reference.
  ///
  /// - Parameters:
  ///   - policy: log-probability of each token, in nats.
  ///   - reference: the same under the reference; empty if there is none.
  ///   - shorter: tokens of the group's shortest completion.
  package func reduce(
    policy: UnsafeBufferPointer<Double>, reference: UnsafeBufferPointer<Double>, shorter: Int
  ) -> (policy: Double, reference: Double) {
    var sums = (policy: 0.0, reference: 0.0)
    for token in policy.indices {
      let base = reference.isEmpty ? 0 : reference[token]
      let weight = token < shorter ? 1 : excessFactor
      sums.policy += weight * (base + clamped(policy[token] - base))
      sums.reference += weight * base
    }
    return sums
  }

  /// Derivative of the reduced log-probability with respect to that of one token.
  package func slope(policy: Double, reference: Double, token: Int, shorter: Int) -> Double {
    if let clamp, !clamp.contains(policy - reference) { return 0 }
    return token < shorter ? 1 : excessFactor
  }

  private func clamped(_ logRatio: Double) -> Double {
    guard let clamp else { return logRatio }
    return min(max(logRatio, clamp.lowerBound), clamp.upperBound)
  }
}
