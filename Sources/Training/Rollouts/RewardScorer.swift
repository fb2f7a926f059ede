import AlignmentCore
import Checkpoints
import Collectives
import PreferenceData
import Rewards
import Transformer

/// Gives the samples of a rollout their rewards, as a recipe's `reward` section says.
final class RewardScorer {
  private let settings: RunConfiguration.RewardSettings
  private let communicator: any Communicator
  private let unitTokens: Int
  private let source: ModelSource?
  private let model: (model: LanguageModel, weights: FrozenWeights)?

  /// Allocates the memory of the reward model, where there is one.
  ///
  /// - Parameters:
  ///   - limits: of the samples, which each get one token more at most.
  init(
    _ settings: RunConfiguration.RewardSettings, _ source: ModelSource?, _ limits: RolloutInputs.Limits,
    unitTokens: Int, over communicator: any Communicator
  ) throws {
    self.settings = settings
    self.unitTokens = unitTokens
    self.communicator = communicator
    self.source = source
    let tokens = max(unitTokens, limits.group + limits.completions)
    model = try source.map {
      try $0.allocate(
        capacity: UnitCapacity(tokens: tokens, predictions: tokens, sequence: limits.sequence + 1), over: communicator)
    }
  }

  /// Loads the reward model; every rank must come here.
  func loadWeights() throws {
    guard let source, let model else { return }
    try model.weights.fill { try source.loadParameters(model.model.layout, into: $0) }
  }

  /// Refuses what cannot judge a policy's samples.
  static func check(_ source: ModelSource, _ directory: String, policy: ModelSource, longest: Int) throws {
    guard source.head == .score else {
      throw Fault(
        .configuration, "is no reward model", at: directory,
        hint: "name a …ForSequenceClassification model with one label, such as bradley_terry trains")
    }
    guard source.tokenizer.hasSameTokens(as: policy.tokenizer) else {
      throw Fault(
        .configuration, "the reward model has another vocabulary than the policy", at: directory,
        hint: "train a reward model from a model of the policy's family")
    }
    guard longest <= source.configuration.contextLength else {
      throw Fault(
        .configuration,
        "samples of \(longest) tokens exceed the reward model's context of \(source.configuration.contextLength)",
        at: directory, hint: "lower rollout.max_new_tokens or shorten the prompts")
    }
  }

  /// The sum of all terms for each sample of a rollout, before penalties, on every rank.
  ///
  /// - Parameters:
  ///   - scored: the samples as a reward model reads them, each ended by the end-of-sequence token.
  func rewards(of dataset: TokenizedDataset, scored: TokenizedDataset, _ samples: () throws -> [JudgedSample]) throws
    -> [Double]
  {
    var total = [Double](repeating: 0, count: dataset.totalCompletions)
    for term in settings.terms {
      let values: [Double]
      switch term.kind {
      case .model: values = try modelScores(scored)
      case .text(let reward): values = try samples().map(reward.reward)
      case .label: values = dataset.completionRecords.map { $0.role.isDesirable ? 1 : -1 }
      case .score: values = dataset.completionRecords.map { $0.score ?? 0 }
      }
      for sample in total.indices { total[sample] += term.weight * values[sample] }
    }
    return total
  }

  private func modelScores(_ scored: TokenizedDataset) throws -> [Double] {
    guard let (model, weights) = model else { preconditionFailure("there is no reward model") }
    return try ScoringPass(
      model, parameters: weights.buffer, dataset: scored, unitTokens: unitTokens, over: communicator
    ).completionOutputs()
  }
}

/// What is done to the sums of rewards before advantages are taken: penalties, scaling, clipping.
package struct RewardShaping {
  private let settings: RunConfiguration.RewardSettings
  /// Number, mean and sum of squared deviations of all rewards so far (Welford 1962).
  package var state = [0.0, 0, 0]

  package init(_ settings: RunConfiguration.RewardSettings) { self.settings = settings }

  /// Takes the rewards of a rollout into account and shapes them.
  package mutating func shape(_ rewards: [Double], isFinished: [Bool]) -> [Double] {
    let penalized = zip(rewards, isFinished).map { $1 ? $0 : $0 - settings.missingEndPenalty }
    for reward in penalized {
      state[0] += 1
      let delta = reward - state[1]
      state[1] += delta / state[0]
      state[2] += delta * (reward - state[1])
    }
    return shaped(penalized)
  }

  /// Shapes rewards that have been taken into account before.
  package func reshape(_ rewards: [Double], isFinished: [Bool]) -> [Double] {
    shaped(zip(rewards, isFinished).map { $1 ? $0 : $0 - settings.missingEndPenalty })
  }

  private func shaped(_ rewards: [Double]) -> [Double] {
    let deviation = state[0] > 1 ? (state[2] / (state[0] - 1)).squareRoot() : 0
    let scale = settings.normalizes && deviation > 0 ? 1 / deviation : 1
    return rewards.map {
      let reward = $0 * scale
      return settings.clip > 0 ? min(max(reward, -settings.clip), settings.clip) : reward
    }
  }
}

extension TokenizedDataset {
  /// All completions in order.
  var completionRecords: [CompletionRecord] {
    (0..<count).flatMap { index in
      let record = example(index)
      return (0..<record.completionCount).map { completion($0, of: record) }
    }
  }
}
