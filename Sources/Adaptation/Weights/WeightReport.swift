/// The weights of a data set and what is known of them.
package struct WeightFit: Sendable, Equatable {
  /// One weight ≥ 0 for each example; their mean over the data set is 1.
  package var weights: [Double]
  /// log w of each example after composition, before flattening, in nats and up to a constant; −∞ where a response was
  /// dropped.
  package var logWeights: [Double]
  package var report: WeightReport
}

/// What is known of the weights of a data set: plain numbers that others draw or write.
package struct WeightReport: Sendable, Equatable {
  /// Number of examples.
  package var examples: Int
  /// Examples with a response that the estimator gave up: weight 0.
  package var dropped: Int
  /// Effective sample size as a share of the examples, of the weights in use.
  package var effectiveShare: Double
  /// Share of the largest weight in the sum, of the weights in use.
  package var maxShare: Double
  /// What log w was multiplied by on the way to the weights in use: τ of tempering times what the fallback `shrink`
  /// took; 0 after the fallback `uniform`.
  package var exponent: Double
  /// Weights as composed, before flattening.
  package var raw: WeightSpread
  /// Weights as flattened, whether or not they came to be used.
  package var flattened: WeightSpread
  /// The effective share at exponents from 0 to 1.
  package var effectiveCurve: [EffectivePoint]
  /// The tail of the raw weights; nil where there is none to fit.
  package var tail: ParetoTail?
  /// How well a classifier tells the domains apart, where the estimator fits one.
  package var classifier: ClassifierQuality?
  /// Correlation of log w with the total length of an example's responses; nil where lengths are not known or either is
  /// constant.
  package var lengthCorrelation: Double?
  /// Mean of the source responses' ratios before anything was done to them, where the estimator gives them without an
  /// unknown constant: 1 if they are right.
  package var meanRatio: Double?
  /// How far apart the domains are in each feature; empty where there are no features.
  package var balance: [FeatureBalance]
  /// What the estimator found besides.
  package var findings: [Finding]
  /// What was asked of the flattened weights.
  package var gates: [WeightGate]
  /// The worst of the gates' verdicts.
  package var verdict: GateVerdict
  /// What replaced weights that were refused.
  package var fallback: FallbackTaken?
}

/// How weights are spread.
package struct WeightSpread: Sendable, Equatable {
  /// Effective sample size (Σw)²/Σw² (Kish 1965) as a share of the examples.
  package var effectiveShare: Double
  /// max w / Σw
  package var maxShare: Double
  /// log w, where the mean weight is 1, at the probabilities of ``probabilities``, dropped examples left out.
  package var quantiles: [Double]
  /// Of log w, where the mean weight is 1, dropped examples left out.
  package var histogram: Histogram

  /// The probabilities of ``quantiles``.
  package static let probabilities = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]
}

/// Counts of values in bins of equal width.
package struct Histogram: Sendable, Equatable {
  package static let bins = 40
  /// Lower edge of the first bin.
  package var low: Double
  /// Upper edge of the last bin.
  package var high: Double
  package var counts: [Int]
}

/// A point of the effective sample size against the exponent.
package struct EffectivePoint: Sendable, Equatable {
  /// τ
  package var exponent: Double
  /// Effective sample size of w^τ as a share of the examples.
  package var share: Double
}

/// A generalised Pareto distribution fitted to the largest weights (Vehtari et al. 2024, arXiv 1507.02646).
package struct ParetoTail: Sendable, Equatable {
  /// The shape k̂: moments of order 1/k̂ and above do not exist. +∞ where the tail is wider than Float64.
  package var shape: Double
  /// Above it the mean of the weights cannot be relied on at this number of examples: min(1 − 1/log₁₀ n, 0.7).
  package var reliableShape: Double
  /// log w of the tail, where the mean weight is 1, ascending; at most ``ParetoTail/points`` of them.
  package var observed: [Double]
  /// The quantiles of the fitted distribution that belong to ``observed``; empty where the shape is not finite.
  package var fitted: [Double]

  package static let points = 200
}

/// Standardised mean difference of a feature: (target − source) / √((target variance + source variance) / 2), variances
/// of the unweighted responses (Austin 2009, Statistics in Medicine 28).
package struct FeatureBalance: Sendable, Equatable {
  package var feature: String
  /// Of the responses as they are. ±∞ for a feature that is constant in either domain and differs.
  package var before: Double
  /// Of the responses under the flattened weights.
  package var after: Double

  package init(feature: String, before: Double, after: Double) {
    self.feature = feature
    self.before = before
    self.after = after
  }
}

/// A number with a name.
package struct Finding: Sendable, Equatable {
  package var name: String
  package var value: Double
}

/// What replaced weights that were refused.
package struct FallbackTaken: Sendable, Equatable {
  package var kind: WeightSettings.Fallback
  /// What `shrink` multiplied the logs of the flattened weights by; 0 where it ended with uniform weights.
  package var factor: Double
  /// The gates that refused, in words.
  package var reason: String
}
