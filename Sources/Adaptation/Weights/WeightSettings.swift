import AlignmentCore

/// What turns log-ratios of responses into weights of examples.
package struct WeightSettings: Sendable, Equatable {
  /// How the log-ratios of an example's responses become one.
  package enum Composition: String, Sendable, CaseIterable {
    /// Sum: unbiased where both responses are from the policy.
    case product
    /// log of the mean ratio: unbiased where one of them is.
    case mean
    /// The smaller one.
    case minimum
    /// The preferred response's alone.
    case first
  }

  /// How a weight is kept from ruling all others.
  package enum Flattening: String, Sendable, CaseIterable {
    case none
    /// τ·l with the largest τ ≤ 1 whose effective sample size is the share `ess` of the examples.
    case ess
    /// τ·l
    case temper
    /// l − log(α·exp(l) + 1 − α), at most −log α, where the mean weight is 1 (Yamada et al. 2013, arXiv 1106.4729).
    case relative
    /// min(l, log c), where the mean weight is 1.
    case clip
    /// Pareto-smoothed tail (Vehtari et al. 2024).
    case psis
  }

  /// What replaces weights that a gate refuses.
  package enum Fallback: String, Sendable, CaseIterable {
    /// Weight 1 for all.
    case uniform
    /// Half the exponent until the gates that depend on weights are satisfied.
    case shrink
    /// The run stops.
    case error
  }

  package var centresPrompts = false
  package var composition = Composition.product
  package var flattening = Flattening.ess
  /// Least effective sample size as a share of the examples, for `ess`.
  package var effectiveShare = 0.5
  /// τ of `temper`.
  package var temper = 0.5
  /// α of `relative`.
  package var alpha = 0.5
  /// c of `clip`.
  package var clip = 10.0
  package var fallback = Fallback.uniform
  package var gates = WeightGates()

  package init() {}

  /// - Throws: ``Fault`` for a number that is out of its range.
  func validate() throws {
    try check(effectiveShare, "ess", effectiveShare > 0 && effectiveShare <= 1, "a share above 0 and at most 1")
    try check(temper, "temper", temper >= 0 && temper <= 1, "an exponent from 0 to 1")
    try check(alpha, "alpha", alpha >= 0 && alpha <= 1, "a share from 0 to 1")
    try check(clip, "clip", clip > 0 && clip < .infinity, "a weight above 0")
  }

  private func check(_ value: Double, _ name: String, _ holds: Bool, _ expectation: String) throws {
    guard !holds else { return }
    throw Fault(.configuration, "\(value) is not \(expectation)", at: "weights.\(name)")
  }
}
