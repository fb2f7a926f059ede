import AlignmentCore
import Objectives
import Rewards
import Transformer

extension RunConfiguration {
  /// How the model learns.
  package enum Method {
    /// From preferences, or labels, or scores in the data.
    case preference(PreferenceLoss)
    /// From the rewards of samples.
    case policy(PolicySettings)
  }

  /// The loss on preferences, where that is the method.
  package var loss: PreferenceLoss? {
    if case .preference(let loss) = method { return loss }
    return nil
  }

  /// The settings of policy optimisation, where that is the method.
  package var policy: PolicySettings? {
    if case .policy(let settings) = method { return settings }
    return nil
  }

  package struct PolicySettings {
    package var objective: any PolicyObjective
    package var rollout: RolloutSettings
    package var rewards: RewardSettings
    /// Whether the critic's gradient stops at its head.
    package var detachesValues: Bool
  }

  package struct RolloutSettings {
    /// Where samples come from.
    package enum Source: String, CaseIterable {
      /// The policy draws them.
      case policy
      /// They are the completions in the data; the reference stands for the policy that drew them.
      case data
    }

    package var source: Source
    /// Prompts of a rollout.
    package var prompts: Int
    /// Passes over a rollout.
    package var epochs: Int
    package var sampling: SamplingSettings
    package var stops: [String]
    /// Most samples that are drawn together; units of samples are dealt to ranks.
    package var unitSequences: Int
  }

  package struct RewardSettings {
    /// What gives rewards, and the factor of each in their sum.
    package var terms: [(kind: Kind, weight: Double)]
    /// Taken from the reward of a sample that did not end by itself.
    package var missingEndPenalty: Double
    /// Largest magnitude of a reward; 0 is no limit.
    package var clip: Double
    /// Whether rewards are divided by the standard deviation of all rewards so far.
    package var normalizes: Bool

    /// Directory of the reward model, where one of the terms is its score.
    package var model: String?

    package enum Kind {
      /// The reward model's score.
      case model
      case text(any TextReward)
      /// 1 for what the data call good, −1 for the rest.
      case label
      /// The score in the data.
      case score
    }

    /// What the data must say of each completion.
    enum Judgement {
      case label
      case score
    }

    func uses(_ judgement: Judgement) -> Bool {
      terms.contains {
        switch ($0.kind, judgement) {
        case (.label, .label), (.score, .score): true
        default: false
        }
      }
    }

    /// Whether only completions in the data can have rewards.
    var needsJudgedData: Bool { uses(.label) || uses(.score) }
  }
}

extension RunConfiguration.Method {
  /// Reads the `objective` section and, for policy optimisation, `rollout` and `reward`.
  init(_ section: RecipeSection, _ recipe: RecipeSection) throws {
    let names = try section.strings("name", default: DPO.name)
    if names.count == 1, let type = PolicyObjectiveRegistry.type(named: names[0]) {
      self = .policy(try RunConfiguration.PolicySettings(type, section, recipe))
      return
    }
    if let name = names.first(where: { PolicyObjectiveRegistry.type(named: $0) != nil }) {
      throw Fault(
        .configuration, "\(name) cannot be mixed with other objectives", at: "objective.name", hint: "name it alone")
    }
    let weights = try section.numbers("weights", in: 0...1e6)
    let loss = try PreferenceLoss(names, weights: weights, settings: try section.remaining())
    for setting in loss.settings { section.note(setting.name, setting.value) }
    // One recipe can serve both kinds of methods.
    for name in ["rollout", "reward"] where recipe.isTable(name) { _ = try recipe.section(name).discard() }
    self = .preference(loss)
  }
}

extension RunConfiguration.PolicySettings {
  init(_ type: any PolicyObjective.Type, _ section: RecipeSection, _ recipe: RecipeSection) throws {
    detachesValues = try section.boolean("detach_values", default: false)
    let given = try section.remaining()
    objective = try PolicyObjectiveRegistry.make(type, settings: given)
    for option in type.options { section.note(option.name, given[option.name] ?? option.defaultText) }
    rollout = try RunConfiguration.RolloutSettings(recipe.section("rollout"))
    rewards = try RunConfiguration.RewardSettings(recipe.section("reward"), source: rollout.source)
    guard rollout.source == .data || rollout.sampling.samples >= objective.fewestSamples else {
      throw Fault(
        .configuration, "\(type.name) compares the samples of a prompt and needs \(objective.fewestSamples) at least",
        at: "rollout.samples", hint: "set rollout.samples=8, or use ppo or reinforce++")
    }
  }
}

extension RunConfiguration.RolloutSettings {
  init(_ section: RecipeSection) throws {
    source = try section.choice("source", default: .policy)
    prompts = try section.integer("prompts", default: 0, in: 0...1 << 24)
    epochs = try section.integer("epochs", default: 1, in: 1...1000)
    sampling = try SamplingSettings(section, samples: 8)
    stops = try section.strings("stop")
    unitSequences = try section.integer("unit_sequences", default: 32, in: 1...1 << 16)
    try section.finish()
  }
}

extension SamplingSettings {
  /// How a section says that samples are drawn; the seed is set by who draws them.
  init(_ section: RecipeSection, samples count: Int, leastTemperature: Double = 1e-6) throws {
    self.init(seed: 0, maxNewTokens: try section.integer("max_new_tokens", default: 128, in: 1...1 << 24))
    samples = try section.integer("samples", default: count, in: 1...1 << 20)
    temperature = try section.number("temperature", default: 1, in: leastTemperature...1e6)
    topK = try section.integer("top_k", default: 0, in: 0...Int.max)
    topP = try section.number("top_p", default: 1, in: Double.leastNonzeroMagnitude...1)
    minP = try section.number("min_p", default: 0, in: 0...1)
    repetitionPenalty = try section.number("repetition_penalty", default: 1, in: 1e-6...1e6)
  }
}

extension RunConfiguration.RewardSettings {
  private static let modelName = "model"
  private static let labelName = "label"
  private static let scoreName = "score"

  /// All names that `reward.name` can have.
  package static let names = [modelName, labelName, scoreName] + TextRewardRegistry.all.map { $0.name }

  init(_ section: RecipeSection, source: RunConfiguration.RolloutSettings.Source) throws {
    let names = try section.strings("name", default: source == .data ? Self.labelName : Self.modelName)
    let weights = try section.numbers("weights", in: -1e6...1e6)
    guard weights.isEmpty || weights.count == names.count else {
      throw Fault(
        .configuration, "\(weights.count) weights for \(names.count) rewards", at: "reward.weights",
        hint: "give one weight for each")
    }
    missingEndPenalty = try section.number("missing_eos_penalty", default: 0, in: 0...1e6)
    clip = try section.number("clip", default: 0, in: 0...1e6)
    normalizes = try section.boolean("normalize", default: false)
    model = try Self.model(section, isNeeded: names.contains(Self.modelName))
    let options = try Self.options(section, of: names)
    try section.finish()
    terms = try names.enumerated().map { index, name in
      (kind: try Self.kind(name, options, source), weight: weights.isEmpty ? 1 : weights[index])
    }
  }

  /// One recipe can serve several rewards: without need for it, a model is left aside.
  private static func model(_ section: RecipeSection, isNeeded: Bool) throws -> String? {
    guard isNeeded else { return try section.optionalString("model").flatMap { _ in nil } }
    return try section.string(
      "model", hint: "name the directory of a reward model, or another reward with reward.name")
  }

  /// The options of these rewards, and what is given for others.
  private static func options(_ section: RecipeSection, of names: [String]) throws -> [String: String] {
    var values: [String: String] = [:]
    for option in names.flatMap({ TextRewardRegistry.type(named: $0)?.options ?? [] })
    where values[option.name] == nil {
      values[option.name] = try section.string(option.name, default: option.defaultText)
    }
    for option in TextRewardRegistry.all.flatMap({ $0.options }) where values[option.name] == nil {
      values[option.name] = try section.optionalString(option.name)
    }
    return values
  }

  private static func kind(
    _ name: String, _ options: [String: String], _ source: RunConfiguration.RolloutSettings.Source
  ) throws -> Kind {
    if name == modelName { return .model }
    if name == labelName || name == scoreName {
      guard source == .data else {
        throw Fault(
          .configuration, "samples of the policy have no \(name)", at: "reward.name", hint: "use rollout.source=data")
      }
      return name == labelName ? .label : .score
    }
    guard let type = TextRewardRegistry.type(named: name) else {
      throw Fault(
        .configuration, "there is no reward \"\(name)\"", at: "reward.name",
        hint: "rewards are \(names.joined(separator: ", "))")
    }
    return .text(try TextRewardRegistry.make(type, settings: options))
  }
}
