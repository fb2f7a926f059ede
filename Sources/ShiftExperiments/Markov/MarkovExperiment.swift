import Adaptation
import AlignmentCore
import Kernels

/// What became of one method in one trial.
package struct MarkovOutcome: Sendable, Equatable {
  package var quality: RewardEvaluation
  /// Gold reward of the best of ``MarkovTest/counts`` samples of the target by the reward model, in standard deviations of
  /// the target above its mean.
  package var best: [Double]
  /// ESS/N of the source's weights, where there are any.
  package var effectiveShare: Double?
}

/// One seed of one regime.
package struct MarkovRun: Sendable {
  package let regime: MarkovRegime
  package let seed: UInt64
  package let diagnostics: ShiftDiagnostics
  /// By the name of the method.
  package let outcomes: [String: MarkovOutcome]
}

/// Experiment E1: reward models under a shift whose ratio is known.
package struct MarkovExperiment: Sendable {
  package var regimes = MarkovRegime.all
  package var seeds: [UInt64]
  package var scale = MarkovScale()
  /// The baselines and oracles of all groups must be among them.
  package var methods = MarkovMethod.all

  package init(seeds: [UInt64]) { self.seeds = seeds }

  /// Runs all seeds of all regimes.
  ///
  /// - Parameter progress: is told what has been done.
  package func run(progress: (String) -> Void = { _ in }) throws -> [MarkovRun] {
    try regimes.flatMap { regime in
      try seeds.enumerated().map { index, seed in
        let run = try run(regime, seed: seed)
        progress("regime \(regime.name): \(index + 1) of \(seeds.count) seeds")
        return run
      }
    }
  }

  private func run(_ regime: MarkovRegime, seed: UInt64) throws -> MarkovRun {
    let trial = MarkovTrial(regime, seed: seed, scale)
    let test = MarkovTest(trial.world, pairs: scale.testPairs, Set(methods.map(\.student)))
    var outcomes: [String: MarkovOutcome] = [:]
    for method in methods {
      let training = try method.prepare(trial)
      var outcome = test.outcome(of: trial.fit(training.rows), method.student)
      outcome.effectiveShare = training.fit?.report.effectiveShare
      outcomes[method.name] = outcome
    }
    return MarkovRun(regime: regime, seed: seed, diagnostics: try trial.diagnostics(), outcomes: outcomes)
  }
}

extension MarkovTrial {
  /// What the pipeline says of the closed-form ratio.
  func diagnostics() throws -> ShiftDiagnostics {
    let raw = try weights(.exact, .raw).report
    var gated = WeightSettings()
    gated.flattening = .none
    let log = (target: evidence.target.targetLogProbabilities, source: evidence.target.sourceLogProbabilities[0])
    return ShiftDiagnostics(
      divergence: zip(log.target, log.source).map(-).mean,
      paretoShape: raw.tail?.shape ?? 0, rawShare: raw.effectiveShare, meanRatio: raw.meanRatio ?? .nan,
      exponent: try weights(.exact, .effective(0.5)).report.exponent,
      auc: try estimate(.discriminator).classifier?.auc ?? .nan,
      rawIsRefused: try weights(.exact, gated).report.fallback != nil)
  }
}

/// What reward models are measured on: pairs of the target, and samples of it to choose from.
struct MarkovTest {
  /// The n of best-of-n.
  static let counts = [16, 64, 256]

  private let rewardGaps: [Double]
  /// r* of the candidates, which are the first texts of all pairs, in standard deviations above the mean.
  private let values: [Double]
  private var features: [MarkovRewardClass: (gaps: DoubleMatrix, candidates: DoubleMatrix)] = [:]

  init(_ world: MarkovWorld, pairs count: Int, _ kinds: Set<MarkovRewardClass>) {
    let pairs = world.testPairs(count)
    rewardGaps = pairs.rewardGaps
    let rewards = stride(from: 0, to: pairs.rewards.count, by: 2).map { pairs.rewards[$0] }
    let (mean, deviation) = (rewards.mean, rewards.variance.squareRoot())
    values = rewards.map { ($0 - mean) / deviation }
    for kind in kinds {
      let all = kind.features(of: pairs.texts)
      features[kind] = (kind.gaps(all), all.everySecondRow)
    }
  }

  /// Measures a reward model.
  func outcome(of model: LinearRewardModel, _ kind: MarkovRewardClass) -> MarkovOutcome {
    guard let (gaps, candidates) = features[kind] else { preconditionFailure("no features of \(kind)") }
    return MarkovOutcome(
      quality: RewardEvaluation(gaps: model.scores(gaps), rewardGaps: rewardGaps),
      best: bestOf(Self.counts, scores: model.scores(candidates), values: values))
  }
}

extension DoubleMatrix {
  /// Rows 0, 2, 4, …
  fileprivate var everySecondRow: DoubleMatrix {
    var result = DoubleMatrix(rows: rows / 2, columns: columns)
    for row in 0..<result.rows {
      for column in 0..<columns { result[row, column] = self[2 * row, column] }
    }
    return result
  }
}
