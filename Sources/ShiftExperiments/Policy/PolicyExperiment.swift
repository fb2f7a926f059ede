import Adaptation
import AlignmentCore
import Kernels
import SyntheticWorld
import Training

/// Experiment E2: reward models of the responses of language models.
package struct RewardModelExperiment: Sendable {
  /// The n of best-of-n.
  static let counts = [4, 16, 64]

  package var regimes = PolicyRegime.all
  package var seeds: [UInt64]
  package var scale = PolicyScale()
  package var methods = PolicyMethod.all

  package init(seeds: [UInt64]) { self.seeds = seeds }

  /// What is measured of each reward class.
  package static let measures = PolicyRewardClass.allCases.flatMap { kind in
    [Measure("\(kind): NLL", isLoss: true, decimals: 4), Measure("\(kind): accuracy", decimals: 4)]
      + counts.map { Measure("\(kind): best-of-\($0)", decimals: 2) }
  }

  /// Runs all seeds of all regimes.
  package func run(_ models: PolicyModels, progress: (String) -> Void = { _ in }) throws -> [ComparisonRun] {
    try seeds.enumerated().flatMap { index, seed in
      let runs = try regimes.map { regime in
        try run(PolicyTrial(regime, seed: seed, models, scale))
      }
      progress("\(index + 1) of \(seeds.count) seeds")
      return runs
    }
  }

  private func run(_ trial: PolicyTrial) throws -> ComparisonRun {
    var outcomes: [String: MethodOutcome] = [:]
    for method in methods {
      let lessons = try method.prepare(trial)
      outcomes[method.name] = MethodOutcome(
        PolicyRewardClass.allCases.flatMap { trial.quality(of: trial.rewardModel(lessons, $0), $0) },
        effectiveShare: lessons.fit?.report.effectiveShare)
    }
    return ComparisonRun(
      regime: trial.regime.name, seed: trial.seed, diagnostics: try trial.diagnostics(), outcomes: outcomes)
  }
}

extension PolicyTrial {
  /// The measures of ``RewardModelExperiment/measures`` of one class.
  func quality(of model: LinearRewardModel, _ kind: PolicyRewardClass) -> [Double] {
    let scores = model.scores(features(.test, kind))
    let quality = RewardEvaluation(gaps: pairGaps(scores), rewardGaps: test.labelLogits)
    let best = test.promptNumbers.indices.map { prompt in
      let own = prompt * test.samplesPerPrompt..<(prompt + 1) * test.samplesPerPrompt
      return bestOf(
        RewardModelExperiment.counts.map { min($0, own.count) }, scores: Array(scores[own]),
        values: Array(test.rewards[own]))
    }
    return [quality.negativeLogLikelihood, quality.accuracy]
      + RewardModelExperiment.counts.indices.map { n in best.map { $0[n] }.mean }
  }
}

extension PolicyResponses {
  /// log P(first preferred) − log P(second preferred) of each pair, as people label it.
  var labelLogits: [Double] { rewardGaps.map { $0 / SyntheticWorld.labelTemperature } }
}

/// Experiment E3: the policy itself, trained by DPO on what each method offers.
package struct PolicyExperiment: Sendable {
  /// How policies are trained and looked at.
  package struct Training: Sendable, Equatable {
    package var beta = 0.1
    /// With 5e-4 policies have passed any divergence of interest before the first look, and get worse first.
    package var learningRate = 1e-4
    package var passes = 2.0
    /// How often a policy is looked at, the untrained one aside.
    package var looks = 6
    /// KL, in nats, at which policies are compared: what the fewest steps, those of a judge's fifth of the pairs, get to.
    package var divergence = 0.25
    package init() {}
  }

  package var regimes = PolicyRegime.all
  package var seeds: [UInt64]
  package var scale: PolicyScale
  package var training = Training()
  package var methods = PolicyMethod.all.filter(\.trainsPolicy)

  package init(seeds: [UInt64]) {
    self.seeds = seeds
    scale = PolicyScale()
    (scale.testPrompts, scale.candidates) = (128, 8)
  }

  package var measures: [Measure] {
    [
      Measure("reward at KL \(training.divergence.fixed(2))", decimals: 3), Measure("reward at the end", decimals: 3),
      Measure("KL at the end", decimals: 2), Measure("NLL", isLoss: true, decimals: 4),
      Measure("accuracy", decimals: 4),
    ]
  }

  /// Runs all seeds of all regimes.
  package func run(_ models: PolicyModels, progress: (String) -> Void = { _ in }) throws -> [ComparisonRun] {
    try seeds.flatMap { seed in
      try regimes.map { regime in
        let trial = try PolicyTrial(regime, seed: seed, models, scale)
        var outcomes: [String: MethodOutcome] = [:]
        for method in methods {
          outcomes[method.name] = try outcome(of: method.prepare(trial), trial)
          progress("seed \(seed), \(regime.name): \(method.name)")
        }
        return ComparisonRun(
          regime: regime.name, seed: seed, diagnostics: try trial.diagnostics(), outcomes: outcomes)
      }
    }
  }

  private func outcome(of lessons: PairLessons, _ trial: PolicyTrial) throws -> MethodOutcome {
    let dpo = ModelTraining(
      "name: dpo, beta: \(training.beta)",
      steps: ModelTraining.steps(passes: training.passes, examples: lessons.rows.count),
      learningRate: training.learningRate, seed: trial.seed)
    var points = [try trial.look(at: trial.policy, step: 0)]
    let policy = try dpo.train(trial.policy, of: trial.models.source, on: trial.modelLessons(lessons)) { step, policy in
      let isDue = step * training.looks / dpo.steps > (step - 1) * training.looks / dpo.steps
      if isDue { points.append(try trial.look(at: policy, step: step)) }
    }
    let curve = PolicyCurve(points)
    let implicit = zip(
      try trial.models.logProbabilities(of: trial.test, under: policy), trial.test.logProbabilities
    ).map { training.beta * ($0 - $1) }
    let quality = RewardEvaluation(gaps: pairGaps(implicit), rewardGaps: trial.test.labelLogits)
    let last = points[points.count - 1]
    return MethodOutcome(
      [
        curve.reward(atDivergence: training.divergence), last.reward, last.divergence, quality.negativeLogLikelihood,
        quality.accuracy,
      ], effectiveShare: lessons.fit?.report.effectiveShare, curve: curve)
  }
}

extension PolicyTrial {
  /// Where a policy stands, by its responses to the test's prompts; the same random numbers for all.
  fileprivate func look(at policy: FloatBuffer, step: Int) throws -> PolicyPoint {
    let world = SyntheticWorld(seed: seed)
    let responses = try models.responses(
      to: test.promptNumbers.map { world.prompt($0, split: .heldOut, domain: .target) }, numbers: test.promptNumbers,
      samples: test.samplesPerPrompt, by: policy, seed: seed &* 4 &+ 3)
    let start = try models.logProbabilities(of: responses, under: self.policy)
    return PolicyPoint(
      step: step, divergence: zip(responses.logProbabilities, start).map(-).mean, reward: responses.rewards.mean)
  }

  /// Lessons as a model reads them, with the target policy for a reference.
  fileprivate func modelLessons(_ lessons: PairLessons) -> ModelLessons {
    var result = ModelLessons()
    for row in lessons.rows {
      let set = row.isSource ? source : target
      let known = row.isSource ? sourceUnderTarget : target.logProbabilities
      result.append(
        prompt: set.prompt(ofPair: row.pair), [set.tokens[2 * row.pair], set.tokens[2 * row.pair + 1]], q: row.q,
        weight: row.weight, reference: [known[2 * row.pair], known[2 * row.pair + 1]])
    }
    return result
  }
}
