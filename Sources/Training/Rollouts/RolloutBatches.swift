import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Objectives
import PreferenceData
import Rewards
import Transformer

/// Batches of samples for policy optimisation: sample, label, look back, and only then learn, a rollout at a time.
///
/// A rollout follows from the weights at its beginning and from the seed, so it is the same on any number of ranks, and it
/// can be made again if its files are gone. Its stages are files; a run that was killed goes on behind the last whole one.
final class RolloutBatches: BatchSource {
  private let configuration: RunConfiguration
  private let settings: RunConfiguration.PolicySettings
  private let material: RolloutMaterial
  private let trainer: Trainer
  private let communicator: any Communicator
  private let scorer: RewardScorer
  private let store: RolloutStore
  private let sampler: RolloutSampler
  private let commentary = Commentary(nil)
  private var shaping: RewardShaping
  private var stream: BatchStream
  private var minibatches: EpochOrder
  private var current: (number: Int, task: PolicyTask, values: [(name: String, value: Double)])?
  /// The rollout whose rewards ``shaping`` took in last; part of the state.
  private var shapedRollouts = 0

  init(
    _ configuration: RunConfiguration, _ settings: RunConfiguration.PolicySettings, material: RolloutMaterial,
    trainer: Trainer, scorer: RewardScorer, sampler: RolloutSampler, over communicator: any Communicator
  ) {
    self.configuration = configuration
    self.settings = settings
    self.material = material
    self.trainer = trainer
    self.scorer = scorer
    self.sampler = sampler
    self.communicator = communicator
    store = RolloutStore(directory: "\(configuration.run)/rollouts", communicator: communicator)
    shaping = RewardShaping(settings.rewards)
    stream = BatchStream(
      count: material.count, size: settings.rollout.prompts, seed: configuration.seed,
      shuffle: configuration.data.shuffle)
    minibatches = EpochOrder(
      count: settings.rollout.prompts, seed: configuration.seed &+ 1, shuffle: configuration.data.shuffle)
  }

  var descriptions: [String] { [material.description] }

  /// Optimiser steps of a rollout.
  private var stepsPerRollout: Int {
    settings.rollout.epochs * settings.rollout.prompts / configuration.batch.size
  }

  var state: [Double] {
    get { [Double(shapedRollouts)] + shaping.state }
    set {
      guard newValue.count == 4 else { return }
      shapedRollouts = Int(newValue[0])
      shaping.state = Array(newValue[1...])
    }
  }

  func batch(ofStep step: Int) throws -> (task: any TrainingTask, examples: [Int]) {
    let number = step / stepsPerRollout
    if current?.number != number { try begin(number) }
    guard let current else { preconditionFailure("a rollout has begun") }
    let size = configuration.batch.size
    let first = number * settings.rollout.epochs * settings.rollout.prompts + step % stepsPerRollout * size
    return (current.task, (first..<first + size).map { minibatches.index(at: $0) })
  }

  func metrics(of batch: PlannedBatch, _ table: StepTable) -> StepMetrics {
    guard let current else { preconditionFailure("a rollout has begun") }
    var metrics = current.task.metrics(table, batch)
    metrics.values = current.values + metrics.values
    metrics.highlights = metrics.values.filter { $0.name == "reward" || $0.name == "kl" }
    return metrics
  }

  func evaluate() throws -> StepMetrics? { try sampler.evaluate(scorer) }

  func epochs(after steps: Int) -> Double { stream.epochs(after: steps) / Double(stepsPerRollout) }

  /// The rollout of a step and the one before stay: a checkpoint may lie inside.
  func forget(before step: Int) throws { try store.prune(before: step / stepsPerRollout - 1) }
}

// MARK: - The stages of a rollout

extension RolloutBatches {
  private func begin(_ number: Int) throws {
    let examples = stream.examples(ofStep: number)
    let key = material.key(rollout: number)
    try store.begin(number, key: key, name: "samples")
    let dataset = try store.samples(number, key: key, name: "samples") {
      try settings.rollout.source == .policy
        ? sampler.draw(examples, rollout: number) : material.stored(examples)
    }
    let rewards = try label(number, examples, dataset)
    var rollout = Rollout(dataset)
    let isOnPolicy = settings.rollout.source == .policy && stepsPerRollout == 1 && !settings.objective.needsValues
    try lookBack(number, dataset, &rollout, isOnPolicy: isOnPolicy)
    let isFinished = sampler.finished(dataset)
    rollout.rewards = shape(number, rewards, isFinished)
    let advantages = settings.objective.advantages(of: rollout)
    let longest = settings.rollout.sampling.maxNewTokens
    let task = PolicyTask(
      settings.objective,
      Experience(
        dataset: dataset, rollout: rollout, advantages: advantages, isOnPolicy: isOnPolicy, maximumLength: longest))
    current = (number, task, Self.values(rollout, rewards, isFinished))
    commentary.notice(rollout)
  }

  /// Stage 2: rewards.
  private func label(_ number: Int, _ examples: [Int], _ dataset: TokenizedDataset) throws -> [Double] {
    let rewards = try store.numbers(number, name: "rewards") {
      let scored = try store.samples(number, key: dataset.digest, name: "scored") { sampler.ended(dataset) }
      return try scorer.rewards(of: dataset, scored: scored) {
        try sampler.texts(of: dataset, prompts: sampler.promptTexts(examples))
      }
    }
    try store.note(number, name: "samples.jsonl") {
      RolloutSampler.lines(try sampler.texts(of: dataset, prompts: sampler.promptTexts(examples)), rewards)
    }
    return rewards
  }

  /// Stage 3: what the policy that drew the samples, its critic and the reference say of them.
  private func lookBack(
    _ number: Int, _ dataset: TokenizedDataset, _ rollout: inout Rollout, isOnPolicy: Bool
  ) throws {
    let count = rollout.tokens.last?.upperBound ?? 0
    let usesReference = settings.objective.needsReference || settings.rollout.source == .data
    let numbers = try store.numbers(number, name: "experience") {
      let reference =
        try usesReference
        ? pass(dataset, trainer.weights.referenceOrBase).tokenLogProbabilities().flatMap { $0 } : []
      // The only step of a rollout finds the policy as it was; then nothing but a divergence asks what it said.
      let isAsked = settings.objective.needsValues || !isOnPolicy || usesReference
      let needsPolicy = isAsked && (settings.objective.needsValues || settings.rollout.source == .policy)
      let (old, values) =
        try needsPolicy
        ? pass(dataset, trainer.weights.model).tokenLogProbabilitiesAndValues()
        : ([Double](repeating: 0, count: count), [])
      // Stored samples are taken as the reference's.
      return (settings.rollout.source == .data ? reference : old) + (usesReference ? reference : []) + values
    }
    rollout.old = Array(numbers[..<count])
    rollout.reference = settings.objective.needsReference ? Array(numbers[count..<2 * count]) : []
    rollout.values = settings.objective.needsValues ? Array(numbers.suffix(count)) : []
  }

  private func pass(_ dataset: TokenizedDataset, _ parameters: FloatBuffer) -> ScoringPass {
    ScoringPass(
      trainer.model, parameters: parameters, dataset: dataset, unitTokens: configuration.batch.unitTokens,
      over: communicator)
  }

  /// Takes a rollout's rewards into account once, also when a run resumes inside of it.
  private func shape(_ number: Int, _ rewards: [Double], _ isFinished: [Bool]) -> [Double] {
    guard number >= shapedRollouts else { return shaping.reshape(rewards, isFinished: isFinished) }
    shapedRollouts = number + 1
    return shaping.shape(rewards, isFinished: isFinished)
  }

  private static func values(
    _ rollout: Rollout, _ rewards: [Double], _ isFinished: [Bool]
  ) -> [(name: String, value: Double)] {
    let count = Double(rewards.count)
    let mean = rewards.reduce(0, +) / count
    let variance = rewards.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / max(count - 1, 1)
    let lengths = rollout.tokens.map { Double($0.count) }
    return [
      ("reward", mean), ("reward_std", variance.squareRoot()),
      ("completions/mean_length", lengths.reduce(0, +) / count), ("completions/max_length", lengths.max() ?? 0),
      ("completions/unfinished_ratio", Double(isFinished.filter { !$0 }.count) / count),
    ]
  }
}

extension Rollout {
  /// Groups and tokens of the samples of a dataset.
  package init(_ dataset: TokenizedDataset) {
    self.init()
    let starts = dataset.completionStarts
    groups = (0..<dataset.count).map { index in
      let record = dataset.example(index)
      return record.firstCompletion..<record.firstCompletion + record.completionCount
    }
    tokens = starts.indices.dropLast().map { starts[$0]..<starts[$0 + 1] }
  }
}
