/// What the domains of a trial are like, and what the pipeline says of the true ratio.
package struct ShiftDiagnostics: Sendable, Equatable {
  /// KL(target ‖ source) of a text in nats, from the target's samples.
  package var divergence: Double
  /// k̂ of the pairs' weights.
  package var paretoShape: Double
  /// ESS/N of the pairs' weights.
  package var rawShare: Double
  /// Mean of the responses' ratios; its expectation is 1.
  package var meanRatio: Double
  /// τ with ESS/N = ½.
  package var exponent: Double
  /// Held-out AUC of the classifier of domains.
  package var auc: Double
  /// Whether the default gates refuse the raw weights.
  package var rawIsRefused: Bool

  package init(
    divergence: Double, paretoShape: Double, rawShare: Double, meanRatio: Double, exponent: Double, auc: Double,
    rawIsRefused: Bool
  ) {
    (self.divergence, self.paretoShape, self.rawShare) = (divergence, paretoShape, rawShare)
    (self.meanRatio, self.exponent, self.auc, self.rawIsRefused) = (meanRatio, exponent, auc, rawIsRefused)
  }
}
