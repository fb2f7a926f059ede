import AlignmentCore

/// What an estimator must be given.
package struct DensityNeeds: OptionSet, Sendable {
  package let rawValue: Int
  package init(rawValue: Int) { self.rawValue = rawValue }

  /// Log-probabilities of the source responses under the target policy.
  package static let targetLogProbabilities = DensityNeeds(rawValue: 1)
  /// Log-probabilities of the source responses under the generators that wrote them.
  package static let sourceLogProbabilities = DensityNeeds(rawValue: 2)
  /// Samples of the policy.
  package static let targetSamples = DensityNeeds(rawValue: 4)
  /// Features of all responses.
  package static let features = DensityNeeds(rawValue: 8)
  /// Rewards of all responses.
  package static let rewards = DensityNeeds(rawValue: 16)
  /// The log-ratios of an earlier fit.
  package static let storedLogRatios = DensityNeeds(rawValue: 32)
}

/// Estimates log π_t(y|x) − log π_s(y|x) for the responses of the source data, up to a constant.
///
/// Estimators are pure functions of the evidence; everything that follows them — composition to pairs, flattening,
/// normalisation, gates — is the ``WeightPipeline``.
package protocol DensityEstimator: Sendable {
  /// Name in recipes.
  static var name: String { get }
  /// One line for `adalign list`.
  static var summary: String { get }
  static var options: [OptionDescription] { get }
  init(options: OptionValues)
  /// What the evidence must hold.
  var needs: DensityNeeds { get }
  /// - Throws: ``Fault`` of kind `data` where the evidence does not suffice.
  func estimate(_ evidence: DensityEvidence) throws -> DensityEstimate
}

/// What an estimator found.
package struct DensityEstimate: Sendable {
  /// log w of each source response, un-normalised, in nats; −∞ drops a response, NaN and +∞ are errors.
  package var logRatios: [Double]
  /// Whether the ratios are without an unknown constant: their mean over the source is 1 if they are right.
  package var isNormalized = false
  /// How well a classifier tells the domains apart, where the estimator fits one.
  package var classifier: ClassifierQuality?
  /// Other findings by name, for reports.
  package var findings: [(name: String, value: Double)] = []

  package init(logRatios: [Double]) { self.logRatios = logRatios }
}

/// Held-out quality of a classifier of domains.
package struct ClassifierQuality: Sendable, Equatable {
  /// Area under the ROC curve: 0.5 cannot tell, 1 tells always.
  package var auc: Double
  /// Expected calibration error over bins of equal mass.
  package var ece: Double
  package var brier: Double
  /// Mean forecast, share of target responses and number of responses of each bin.
  package var reliability: [(forecast: Double, share: Double, count: Int)]

  package init(auc: Double, ece: Double, brier: Double, reliability: [(forecast: Double, share: Double, count: Int)]) {
    self.auc = auc
    self.ece = ece
    self.brier = brier
    self.reliability = reliability
  }

  package static func == (a: ClassifierQuality, b: ClassifierQuality) -> Bool {
    (a.auc, a.ece, a.brier) == (b.auc, b.ece, b.brier) && a.reliability.elementsEqual(b.reliability, by: ==)
  }
}
