/// Responses of one domain and what is known of them, in columns: one entry for each response.
///
/// A column that no estimator asked for is empty.
package struct DomainResponses: Sendable {
  /// The prompt of each response. Responses with equal numbers share a prompt, also across the two domains; per-prompt
  /// centring and the folds of cross-fitting go by it.
  package var prompts: [Int] = []
  /// Tokens of each response, the one that ends it included.
  package var lengths: [Int] = []
  /// log π_t(y|x) under the target policy, in nats.
  package var targetLogProbabilities: [Double] = []
  /// log π_s(y|x) under each known generator, in nats: generators × responses.
  package var sourceLogProbabilities: [[Double]] = []
  /// r(x, y) of a reward model.
  package var rewards: [Double] = []
  /// Features, row-major: responses × names of ``DensityEvidence/featureNames``.
  package var features: [Float] = []

  package init() {}

  /// Number of responses.
  package var count: Int { prompts.count }
}

/// Everything that density estimators may look at.
package struct DensityEvidence: Sendable {
  /// Responses of the preference data.
  package var source = DomainResponses()
  /// Samples of the policy; empty where no estimator asked for them.
  package var target = DomainResponses()
  package var featureNames: [String] = []
  /// Share of each known generator in the source data; they sum to 1.
  package var generatorShares: [Double] = []
  /// Log-ratios of an earlier fit, one for each source response.
  package var storedLogRatios: [Double] = []
  package var seed: UInt64 = 0

  package init() {}
}
