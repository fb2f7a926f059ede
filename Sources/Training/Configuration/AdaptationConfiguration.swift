import Adaptation
import AlignmentCore
import Transformer

/// What `adalign adapt` does: rounds of sampling, labelling, weighing, mixing and training, as a recipe says.
package struct AdaptationConfiguration {
  /// Which policy a round's policy is held against.
  package enum Reference: String, CaseIterable {
    /// The one before the first round.
    case initial
    /// The one that the round begins with.
    case previous
  }

  /// Directory of the rounds and of the final policy.
  package var run: String
  /// Directory of the policy before the first round.
  package var model: String
  package var reference: Reference
  package var seed: UInt64
  package var rounds: Int
  package var data: DataSettings
  package var sample: SampleSettings
  /// Who labels the policy's responses, and how; nil where nothing is labelled.
  package var label: LabelSettings?
  /// How the source data are weighed towards the policy; nil leaves them as they are.
  package var weights: WeighingSettings?
  package var mix: MixPlan
  package var rewardModel: RewardModelSettings?
  /// How a round's policy is trained.
  let policy: TrainingTemplate
  package var evaluation: EvaluationSettings?
  package var threads: Int
  package var cache: String
  /// All of the above as text.
  package var settings: ResolvedSettings

  package struct DataSettings {
    /// Preference pairs of the source domain.
    package var source: [String]
    /// Prompts of the rounds; empty takes those of the source.
    package var prompts: [String]
    /// Prompts of a round; 0 takes all.
    package var promptsPerRound: Int
  }

  package struct SampleSettings {
    package var sampling: SamplingSettings
    package var stops: [String]
    package var unitSequences: Int
  }

  package struct RewardModelSettings {
    /// When it is trained.
    package enum Refit: String, CaseIterable {
      case once
      case eachRound = "each_round"
    }

    /// What it learns from.
    package enum Lesson: String, CaseIterable {
      /// The source data, weighed if the recipe says so.
      case source
      /// These and the pseudo-labelled pairs.
      case mixture
    }

    /// The model that it starts from; nil is the initial policy.
    package var model: String?
    package var refit: Refit
    package var lesson: Lesson
    let training: TrainingTemplate
    /// How it goes on learning from what the expert answered of the round's samples, before it labels the rest; nil lets
    /// the expert take a share of the labels instead.
    let refinement: TrainingTemplate?
  }

  package struct EvaluationSettings {
    package var judge: JudgeConfiguration
    package var prompts: [String]
    package var sampling: SamplingSettings
  }
}

extension AdaptationConfiguration {
  /// Reads a recipe with overrides, over what its preset says.
  ///
  /// - Throws: ``Fault`` that names the key.
  package init(recipe text: String, path: String, overrides: [String]) throws {
    var root = try RecipeNode.parse(text, path: path)
    try root.apply(overrides: overrides)
    let settings = ResolvedSettings()
    let recipe = try RecipeSection(try AdaptationPreset.complete(root), into: settings)
    self.settings = settings
    _ = try recipe.optionalString("preset")
    run = try recipe.string("run", hint: "name a directory for the run, for example run=runs/adapted")
    model = try recipe.string("model", hint: "name the directory of the policy to begin with")
    reference = try recipe.choice("reference", default: .initial)
    seed = UInt64(try recipe.integer("seed", default: 0, in: 0...Int.max))
    rounds = try recipe.integer("rounds", default: 1, in: 1...999)
    data = try DataSettings(recipe.section("data"))
    sample = try SampleSettings(recipe.section("sample"))
    label = recipe.isTable("label") ? try LabelSettings(recipe.section("label")) : nil
    weights = recipe.isTable("weights") ? try WeighingSettings(recipe.section("weights")) : nil
    mix = try MixPlan(recipe.section("mix"))
    rewardModel = recipe.isTable("reward_model") ? try RewardModelSettings(recipe.section("reward_model")) : nil
    policy = try TrainingTemplate(recipe, "policy", filling: rewardModel == nil ? [] : ["reward.model"])
    evaluation = recipe.isTable("evaluate") ? try EvaluationSettings(recipe.section("evaluate")) : nil
    threads = try recipe.integer("threads", default: 1, in: 1...1024)
    cache = try recipe.string("cache", default: CacheDirectory.byDefault)
    try recipe.finish()
    try check()
  }

  /// Whether a recipe is one of rounds rather than of a single run.
  package static func isRecipe(_ text: String, path: String, overrides: [String]) throws -> Bool {
    var root = try RecipeNode.parse(text, path: path)
    try root.apply(overrides: overrides)
    return root["preset"] != .null || root["policy"] != .null
  }

  /// All judges of a round.
  var judges: [JudgeConfiguration] {
    let labels = [label, policy.outline.online?.label].compactMap(\.self)
    return labels.flatMap { [$0.judge, $0.expert?.judge].compactMap(\.self) } + [evaluation?.judge].compactMap(\.self)
  }

  /// Refuses what could not be done in some later stage.
  private func check() throws {
    guard evaluation?.judge.givesScores != false else {
      throw Fault(
        .configuration, "\(evaluation?.judge.name ?? "") compares responses, and evaluation needs scores",
        at: "evaluate.judge", hint: "use a reward model, a function of texts, or form: pointwise")
    }
    let judges = [
      ("label.judge", label?.judge), ("label.expert.judge", label?.expert?.judge),
      ("policy.online.label.judge", policy.outline.online?.label.judge),
    ]
    for (key, judge) in judges where rewardModel == nil && judge?.needsRoundRewardModel == true {
      throw Fault(
        .configuration, "there is no reward model to label with", at: "\(key).model",
        hint: "name the directory of one, or add a reward_model section to train one")
    }
    guard evaluation?.judge.needsRoundRewardModel != true else {
      throw Fault(
        .configuration, "scores by the reward model of each round cannot be compared", at: "evaluate.judge.model",
        hint: "name the directory of one reward model for all rounds")
    }
    guard rewardModel?.refinement == nil || label?.expert != nil else {
      throw Fault(
        .configuration, "there is no expert whose answers refine the reward model", at: "reward_model.refine",
        hint: "add label.expert, or leave reward_model.refine out")
    }
    guard rewardModel?.refinement == nil || rewardModel?.lesson == .source else {
      throw Fault(
        .configuration, "the mixture has the expert's answers already", at: "reward_model.refine",
        hint: "use learn_from: source, or leave reward_model.refine out")
    }
    guard rewardModel?.lesson != .mixture || label != nil else {
      throw Fault(
        .configuration, "without labels there is no mixture to learn from", at: "reward_model.learn_from",
        hint: "add a label section, or use learn_from: source")
    }
  }
}

extension AdaptationConfiguration.DataSettings {
  init(_ section: RecipeSection) throws {
    source = try section.strings("source")
    guard !source.isEmpty else {
      throw Fault(.configuration, "is missing", at: "data.source", hint: "name a JSONL file of preference pairs")
    }
    prompts = try section.strings("prompts")
    promptsPerRound = try section.integer("prompts_per_round", default: 0, in: 0...1 << 24)
    try section.finish()
  }
}

extension AdaptationConfiguration.SampleSettings {
  init(_ section: RecipeSection) throws {
    sampling = try SamplingSettings(section, samples: 8)
    stops = try section.strings("stop")
    unitSequences = try section.integer("unit_sequences", default: 32, in: 1...1 << 16)
    try section.finish()
  }
}

extension AdaptationConfiguration.RewardModelSettings {
  init(_ section: RecipeSection) throws {
    model = try section.optionalString("model")
    refit = try section.choice("refit", default: .once)
    lesson = try section.choice("learn_from", default: .source)
    training = try TrainingTemplate(section, "train")
    refinement = section.isTable("refine") ? try TrainingTemplate(section, "refine") : nil
    try section.finish()
  }
}

extension AdaptationConfiguration.EvaluationSettings {
  init(_ section: RecipeSection) throws {
    judge = try JudgeConfiguration(section.section("judge"))
    prompts = try section.strings("prompts")
    guard !prompts.isEmpty else {
      throw Fault(.configuration, "is missing", at: "evaluate.prompts", hint: "name a JSONL file of held-out prompts")
    }
    sampling = try SamplingSettings(section, samples: 1, leastTemperature: 0)
    try section.finish()
  }
}
