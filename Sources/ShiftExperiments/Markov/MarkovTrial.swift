import Adaptation
import AlignmentCore
import Kernels

/// A density estimator and its options, as a recipe names them.
package struct RatioSource: Sendable, Hashable {
  package let estimator: String
  package let options: [String: String]

  package init(_ estimator: String, _ options: [String: String] = [:]) {
    self.estimator = estimator
    self.options = options
  }

  /// The closed-form ratio of sequences.
  package static let exact = RatioSource("importance")
  /// A classifier on the features that the reward model sees: their marginal ratio.
  package static let discriminator = RatioSource("discriminator")
}

/// How many pairs a trial has, and what else its methods are given.
package struct MarkovScale: Sendable, Equatable {
  /// Pairs of the source; the target has as many.
  package var pairs = 2000
  /// Pairs of the target that methods are measured on.
  package var testPairs = 20_000
  /// How often the judge errs.
  package var judgeErrorRate = 0.1
  /// Precision of the prior of coefficients: features are counts over √T, so coefficients are of the size of the gold
  /// reward's.
  package var ridge = 1.0

  package init() {}
}

/// One world and what methods may use of it. Estimates are made once and shared by the methods.
package final class MarkovTrial {
  package let world: MarkovWorld
  let scale: MarkovScale
  let source: MarkovPairs
  let target: MarkovPairs
  /// What the estimators see: log-probabilities under both chains, and the features of the poor class.
  package let evidence: DensityEvidence
  /// What the judge says of each target pair.
  let verdicts: [Double]
  /// The source responses of each pair.
  let examples: [[Int]]
  private var estimates: [RatioSource: DensityEstimate] = [:]
  private var gaps: [GapsKey: DoubleMatrix] = [:]

  private struct GapsKey: Hashable {
    let isSource: Bool
    let features: MarkovRewardClass
  }

  package init(_ regime: MarkovRegime, seed: UInt64, _ scale: MarkovScale = MarkovScale()) {
    self.scale = scale
    world = MarkovWorld(regime, seed: seed)
    source = world.sourcePairs(scale.pairs)
    target = world.targetPairs(scale.pairs)
    evidence = DensityEvidence(world, source.texts, target.texts)
    verdicts = target.verdicts(
      errorRate: scale.judgeErrorRate, RandomStream(seed: seed, purpose: .judging, regime.length))
    examples = (0..<scale.pairs).map { [2 * $0, 2 * $0 + 1] }
  }

  /// The weights of the source pairs.
  package func weights(_ ratio: RatioSource, _ settings: WeightSettings) throws -> WeightFit {
    try WeightPipeline(settings).fit(estimate(ratio), evidence, examples: examples)
  }

  /// log-ratios of the source responses.
  package func estimate(_ ratio: RatioSource) throws -> DensityEstimate {
    if let known = estimates[ratio] { return known }
    let estimate = try DensityRegistry.make(ratio.estimator, settings: ratio.options).estimate(evidence)
    estimates[ratio] = estimate
    return estimate
  }

  /// The source's comparisons, with the labels of its people.
  func sourceRows(_ features: MarkovRewardClass, weights: [Double]? = nil) -> ComparisonRows {
    ComparisonRows(gaps(of: source, isSource: true, features), targets: source.labels, weights: weights)
  }

  /// The first target pairs, with labels from somewhere.
  func targetRows(_ features: MarkovRewardClass, labels: [Double]) -> ComparisonRows {
    var rows = targetGaps(features)
    rows.rows = labels.count
    rows.elements.removeLast(rows.elements.count - labels.count * rows.columns)
    return ComparisonRows(rows, targets: labels)
  }

  /// Differences of features of all target pairs.
  func targetGaps(_ features: MarkovRewardClass) -> DoubleMatrix { gaps(of: target, isSource: false, features) }

  private func gaps(of pairs: MarkovPairs, isSource: Bool, _ features: MarkovRewardClass) -> DoubleMatrix {
    let key = GapsKey(isSource: isSource, features: features)
    if let known = gaps[key] { return known }
    let matrix = features.gaps(of: pairs)
    gaps[key] = matrix
    return matrix
  }

  /// The reward model of some comparisons.
  func fit(_ rows: ComparisonRows) -> LinearRewardModel { LinearRewardModel(fitting: rows, ridge: scale.ridge) }
}

extension DensityEvidence {
  /// What is known of source and target texts: each pair is a prompt of its own.
  init(_ world: MarkovWorld, _ source: MarkovTexts, _ target: MarkovTexts) {
    self.init()
    func responses(_ texts: MarkovTexts, firstPrompt: Int) -> DomainResponses {
      var responses = DomainResponses()
      responses.prompts = (0..<texts.count).map { firstPrompt + $0 / 2 }
      responses.lengths = [Int](repeating: texts.length, count: texts.count)
      responses.targetLogProbabilities = world.target.logProbabilities(of: texts)
      responses.sourceLogProbabilities = [world.source.logProbabilities(of: texts)]
      responses.features = MarkovRewardClass.unigrams.features(of: texts).elements.map(Float.init)
      return responses
    }
    self.source = responses(source, firstPrompt: 0)
    self.target = responses(target, firstPrompt: source.count / 2)
    featureNames = (0..<MarkovChain.vocabulary).map { "token \($0)" }
    generatorShares = [1]
    seed = world.seed
  }
}
