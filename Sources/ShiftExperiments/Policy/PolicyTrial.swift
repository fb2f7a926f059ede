import Adaptation
import AlignmentCore
import Kernels
import SyntheticWorld

/// How far the generators of the two domains are apart.
package struct PolicyRegime: Sendable, Equatable {
  package let name: String
  /// κ of ``PolicyModels/generator(_:shift:)``.
  package let shift: Double

  package init(name: String, shift: Double) {
    self.name = name
    self.shift = shift
  }

  package static let all = [PolicyRegime(name: "near", shift: 0.6), PolicyRegime(name: "far", shift: 1)]
}

/// How many responses a trial has, and what else its methods are given.
package struct PolicyScale: Sendable, Equatable {
  /// Pairs of the source; the target has as many.
  package var pairs = 1500
  /// Prompts that methods are measured on.
  package var testPrompts = 96
  /// Responses to each of them.
  package var candidates = 64
  /// Principal components of hidden states that the narrow and the wide reward model see.
  package var components = [16, 64]
  /// Precision of the prior of coefficients.
  package var ridge = 5.0
  /// How often the judge errs.
  package var judgeErrorRate = 0.1
  /// The share of target pairs that it sees.
  package var judgeShare = 0.2

  package init() {}
}

/// What a reward model of a policy experiment sees: a linear head on frozen features.
package enum PolicyRewardClass: Int, Sendable, CaseIterable {
  /// Few principal components: cannot express the gold reward.
  case narrow
  /// Many of them: comes closer.
  case wide
}

/// One seed of one regime: pairs of the source with labels, pairs of the target, and what methods may use of them. The source's
/// generator and the target policy are language models, so their density ratio is known. Both answer prompts of the target.
package final class PolicyTrial {
  package let regime: PolicyRegime
  package let seed: UInt64
  let scale: PolicyScale
  let models: PolicyModels
  /// The policy that is to be aligned, and what KL is measured against.
  let policy: FloatBuffer
  package let source: PolicyResponses
  package let target: PolicyResponses
  package let test: PolicyResponses
  /// Log-probabilities of the source's responses under the target policy.
  let sourceUnderTarget: [Double]
  package let evidence: DensityEvidence
  /// Labels of people, 1 where the first response is preferred, of the source's and of the target's pairs.
  let labels: (source: [Double], target: [Double])
  /// What the judge says of each target pair.
  let verdicts: [Double]
  /// Standardised features by class and set: source, target, test.
  private let features: [PolicyRewardClass: [DoubleMatrix]]
  private var estimates: [RatioSource: DensityEstimate] = [:]

  private enum Draw: UInt64 { case source, target, test }

  package init(_ regime: PolicyRegime, seed: UInt64, _ models: PolicyModels, _ scale: PolicyScale = PolicyScale())
    throws
  {
    (self.regime, self.seed, self.scale, self.models) = (regime, seed, scale, models)
    let world = SyntheticWorld(seed: seed)
    let policy = try models.generator(.target, shift: regime.shift)
    self.policy = policy
    let generator = try models.generator(.source, shift: regime.shift)
    func responses(_ draw: Draw, _ numbers: Range<Int>, _ split: SyntheticWorld.Split, samples: Int) throws
      -> PolicyResponses
    {
      try models.responses(
        to: numbers.map { world.prompt($0, split: split, domain: .target) }, numbers: Array(numbers), samples: samples,
        by: draw == .source ? generator : policy, seed: seed &* 4 &+ draw.rawValue)
    }
    source = try responses(.source, 0..<scale.pairs, .preferences, samples: 2)
    target = try responses(.target, scale.pairs..<2 * scale.pairs, .preferences, samples: 2)
    test = try responses(.test, 0..<scale.testPrompts, .heldOut, samples: scale.candidates)
    sourceUnderTarget = try models.logProbabilities(of: source, under: policy)
    let found = try models.features(of: [source, target, test], components: scale.components.max() ?? 0)
    evidence = DensityEvidence(
      source: source, underTarget: sourceUnderTarget, target: target,
      underSource: try models.logProbabilities(of: target, under: generator), features: found, seed: seed)
    features = Self.features(found.rows, columns: found.names.count, scale.components)
    func draws(_ set: Int, _ purpose: RandomStream.Purpose) -> RandomStream {
      RandomStream(seed: seed, purpose: purpose, set)
    }
    labels = (
      Self.labels(source.rewardGaps, draws(0, .syntheticWorld)),
      Self.labels(target.rewardGaps, draws(1, .syntheticWorld))
    )
    let judge = draws(0, .judging)
    verdicts = target.rewardGaps.enumerated().map {
      judge.uniform(at: $0) < ($1 == 0 ? 0.5 : scale.judgeErrorRate) ? ($1 > 0 ? 0 : 1) : ($1 > 0 ? 1 : 0)
    }
  }

  /// Labels after Bradley and Terry at the world's temperature.
  private static func labels(_ gaps: [Double], _ stream: RandomStream) -> [Double] {
    gaps.enumerated().map { stream.uniform(at: $0) < sigmoid($1 / SyntheticWorld.labelTemperature) ? 1 : 0 }
  }

  /// Columns of each class, with the mean and deviation that they have in source and target together taken out.
  private static func features(_ rows: [[Float]], columns: Int, _ components: [Int]) -> [PolicyRewardClass:
    [DoubleMatrix]]
  {
    let training = rows[0] + rows[1]
    let scaled = (0..<columns).map { column in
      let values = stride(from: column, to: training.count, by: columns).map { Double(training[$0]) }
      return (mean: values.mean, deviation: max(values.variance.squareRoot(), 1e-9))
    }
    let widest = components.max() ?? 0
    return Dictionary(
      uniqueKeysWithValues: PolicyRewardClass.allCases.map { kind in
        let kept = (0..<columns).filter { $0 < components[kind.rawValue] || $0 >= min(widest, columns - 4) }
        return (
          kind,
          rows.map { rows in
            var matrix = DoubleMatrix(rows: rows.count / columns, columns: kept.count)
            for row in 0..<matrix.rows {
              for (place, column) in kept.enumerated() {
                matrix[row, place] =
                  (Double(rows[row * columns + column]) - scaled[column].mean) / scaled[column].deviation
              }
            }
            return matrix
          }
        )
      })
  }
}

// MARK: - Weights

extension PolicyTrial {
  /// The weights of the source pairs.
  package func weights(_ ratio: RatioSource, _ settings: WeightSettings) throws -> WeightFit {
    try WeightPipeline(settings).fit(
      estimate(ratio), evidence, examples: (0..<source.pairCount).map { [2 * $0, 2 * $0 + 1] })
  }

  /// log-ratios of the source responses; made once.
  package func estimate(_ ratio: RatioSource) throws -> DensityEstimate {
    if let known = estimates[ratio] { return known }
    let estimate = try DensityRegistry.make(ratio.estimator, settings: ratio.options).estimate(evidence)
    estimates[ratio] = estimate
    return estimate
  }

  /// What the pipeline says of the true ratio.
  func diagnostics() throws -> ShiftDiagnostics {
    let raw = try weights(.exact, .raw).report
    var gated = WeightSettings()
    gated.flattening = .none
    return ShiftDiagnostics(
      divergence: zip(target.logProbabilities, evidence.target.sourceLogProbabilities[0]).map(-).mean,
      paretoShape: raw.tail?.shape ?? 0, rawShare: raw.effectiveShare, meanRatio: raw.meanRatio ?? .nan,
      exponent: try weights(.exact, .effective(0.5)).report.exponent,
      auc: try estimate(.discriminator).classifier?.auc ?? .nan,
      rawIsRefused: try weights(.exact, gated).report.fallback != nil)
  }
}

extension DensityEvidence {
  fileprivate init(
    source: PolicyResponses, underTarget: [Double], target: PolicyResponses, underSource: [Double],
    features: (names: [String], rows: [[Float]]), seed: UInt64
  ) {
    self.init()
    self.source = DomainResponses(source, target: underTarget, source: source.logProbabilities, features.rows[0])
    self.target = DomainResponses(target, target: target.logProbabilities, source: underSource, features.rows[1])
    featureNames = features.names
    generatorShares = [1]
    self.seed = seed
  }
}

extension DomainResponses {
  fileprivate init(_ responses: PolicyResponses, target: [Double], source: [Double], _ features: [Float]) {
    self.init()
    prompts = responses.promptNumbers.flatMap { [Int](repeating: $0, count: responses.samplesPerPrompt) }
    lengths = responses.tokens.map(\.count)
    targetLogProbabilities = target
    sourceLogProbabilities = [source]
    self.features = features
  }
}

// MARK: - Reward models

extension PolicyTrial {
  /// Sets of responses that reward models see.
  enum ResponseSet: Int { case source, target, test }

  func features(_ set: ResponseSet, _ kind: PolicyRewardClass) -> DoubleMatrix {
    guard let matrices = features[kind] else { preconditionFailure("features are of all classes") }
    return matrices[set.rawValue]
  }

  /// The reward model of some lessons.
  func rewardModel(_ lessons: PairLessons, _ kind: PolicyRewardClass) -> LinearRewardModel {
    let sets = [features(.source, kind), features(.target, kind)]
    var gaps = DoubleMatrix(rows: lessons.rows.count, columns: sets[0].columns)
    for (place, row) in lessons.rows.enumerated() {
      let set = sets[row.isSource ? 0 : 1]
      for column in 0..<gaps.columns { gaps[place, column] = set[2 * row.pair, column] - set[2 * row.pair + 1, column] }
    }
    return LinearRewardModel(
      fitting: ComparisonRows(gaps, targets: lessons.rows.map(\.q), weights: lessons.rows.map(\.weight)),
      ridge: scale.ridge)
  }

  /// What a teacher says of each target pair: the probability that the first response is better.
  func forecasts(of model: LinearRewardModel, _ kind: PolicyRewardClass) -> [Double] {
    pairGaps(model.scores(features(.target, kind))).map(sigmoid)
  }
}

/// Pairs to learn from.
package struct PairLessons: Sendable {
  package struct Row: Sendable, Equatable {
    /// Of the source, or else of the target.
    package var isSource: Bool
    package var pair: Int
    /// The probability that the first response is better.
    package var q: Double
    package var weight = 1.0
  }

  package var rows: [Row]
  package var fit: WeightFit?
}
