import AlignmentCore
import Objectives
import Optimization
import PreferenceData
import Transformer

// How the sections of a recipe are read.

extension RunConfiguration.ReferenceSync {
  /// `objective.reference_sync` and `objective.reference_mixup`.
  init(_ section: RecipeSection) throws {
    every = try section.integer("reference_sync", default: 0, in: 0...Int.max)
    mixup = try section.number("reference_mixup", default: 0.6, in: 0...1)
  }
}

extension RunConfiguration.GroupDROSettings {
  /// `objective.group_dro`, `objective.group_dro_step` and `objective.group_dro_adjustment`; nil if it is off.
  init?(_ section: RecipeSection) throws {
    let isOn = try section.boolean("group_dro", default: false)
    step = try section.number("group_dro_step", default: 0.01, in: 0...1e3)
    adjustment = try section.number("group_dro_adjustment", default: 0, in: 0...1e6)
    guard isOn else { return nil }
  }
}

extension RunConfiguration {
  /// Refuses weights that do not go together, or not with the method.
  func checkWeights() throws {
    try loss?.checkDivisor(normalization)
    guard groupDRO != nil else { return }
    let refusal = { (what: String, hint: String) in Fault(.configuration, what, at: "objective.group_dro", hint: hint) }
    guard let loss else { throw refusal("policy optimisation has no domains", "use it with preferences") }
    guard loss.objective.traits.survey != .own else {
      throw refusal("needs an objective whose examples have losses of their own", "use it with dpo")
    }
    guard loss.weighting == nil || normalization == .count else {
      throw refusal(
        "the weights of a domain are divided by before the step has found them", "use objective.normalization=count")
    }
  }
}

extension PreferenceLoss {
  /// Refuses a likelihood whose mean over the batch's tokens would need weights that the step has yet to find.
  func checkDivisor(_ normalization: RunConfiguration.Normalization) throws {
    guard weighting != nil, normalization == .weight, averagesOverTokens else { return }
    throw Fault(
      .configuration, "does not go with a likelihood averaged over the batch's tokens and normalization=weight",
      at: "objective.weighting", hint: "use objective.normalization=count, or objective.average=sequences without nll")
  }
}

extension RunConfiguration.DataSettings {
  init(_ section: RecipeSection) throws {
    train = try section.strings("train")
    guard !train.isEmpty else {
      throw Fault(.configuration, "is missing", at: "data.train", hint: "name a JSONL file, plain, .gz or .zst")
    }
    weights = try section.optionalString("weights")
    evaluation = try section.strings("eval")
    shuffle = try section.boolean("shuffle", default: true)
    maxLength = try section.optionalInteger("max_length", in: 2...Int(Int32.max))
    maxPromptLength = try section.optionalInteger("max_prompt_length", in: 1...Int(Int32.max))
    keep = try section.choice("keep_prompt", default: .end)
    boundary = try section.choice("boundary", default: .joined)
    onError = try section.choice("on_error", default: .fail)
    let control = try section.section("control")
    controls = ControlTexts(
      desirable: try control.string("desirable", default: ControlTexts().desirable),
      undesirable: try control.string("undesirable", default: ControlTexts().undesirable))
    try control.finish()
    try section.finish()
  }
}

extension RunConfiguration.BatchSettings {
  init(_ section: RecipeSection) throws {
    size = try section.integer("size", default: 32, in: 1...1 << 24)
    unitTokens = try section.integer("unit_tokens", default: 2048, in: 1...1 << 24)
    try section.finish()
  }
}

extension RunConfiguration.ScheduleSettings {
  init(_ section: RecipeSection) throws {
    shape = try section.choice("name", default: .constant)
    warmup = try section.number("warmup", default: 0, in: 0...1e12)
    minimum = try section.number("minimum", default: 0, in: 0...1)
    decay = try section.number("decay", default: 0.1, in: 0...1e12)
    decayCurve = try section.choice("decay_shape", default: .linear)
    try section.finish()
  }

  /// Whether the learning rate of a step does not depend on how many steps there are.
  var ignoresLength: Bool { shape == .constant && (warmup == 0 || warmup >= 1) }

  /// The schedule of a run of a known length.
  func resolved(totalSteps: Int) -> LearningRateSchedule {
    let steps = { LearningRateSchedule.steps($0, of: totalSteps) }
    return LearningRateSchedule(
      shape: shape, warmup: steps(warmup), totalSteps: totalSteps, minimum: minimum,
      decay: LearningRateSchedule.Decay(decayCurve, steps: steps(decay)))
  }
}

extension RunConfiguration.EvaluationSettings {
  init(_ section: RecipeSection) throws {
    every = try section.integer("every", default: 0, in: 0...Int.max)
    prompts = try section.strings("prompts")
    maxNewTokens = try section.integer("max_new_tokens", default: 64, in: 1...1 << 24)
    temperature = try section.number("temperature", default: 0, in: 0...1e6)
    try section.finish()
  }
}

extension RunConfiguration.CheckpointSettings {
  init(_ section: RecipeSection) throws {
    every = try section.integer("every", default: 0, in: 0...Int.max)
    keep = try section.integer("keep", default: 2, in: 1...1_000_000)
    isAsynchronous = try section.boolean("asynchronous", default: true)
    try section.finish()
  }
}

extension RunConfiguration.NonFiniteSettings {
  /// `on_nonfinite` and `max_skips`.
  init(_ recipe: RecipeSection) throws {
    action = try recipe.choice("on_nonfinite", default: .stop)
    mostSkips = try recipe.integer("max_skips", default: 10, in: 1...1_000_000)
  }
}

extension RunConfiguration.CheckSettings {
  init(_ section: RecipeSection) throws {
    every = try section.integer("every", default: 1, in: 0...Int.max)
    try section.finish()
  }
}

extension Watchdog.Limit {
  /// `watchdog`: seconds, or `auto`.
  init(_ recipe: RecipeSection) throws {
    let text = try recipe.string("watchdog", default: "auto")
    guard text != "auto" else {
      self = .automatic
      return
    }
    guard let seconds = Int(text), (0...1_000_000).contains(seconds) else {
      throw Fault(
        .configuration, "must be auto or an integer from 0 to 1000000", at: "watchdog", hint: "0 waits for ever")
    }
    self = .seconds(seconds)
  }
}

extension MemoryBudget {
  init(_ section: RecipeSection) throws {
    let activations = try section.integer("activations_mb", default: 1024, in: 1...1 << 24)
    let logits = try section.integer("logits_mb", default: 128, in: 1...1 << 24)
    self.init(activations: activations << 20, logits: logits << 20)
    try section.finish()
  }
}

extension RunConfiguration.OptimizerSettings {
  init(_ section: RecipeSection) throws {
    let type = try OptimizerRegistry.type(named: section.string("name", default: AdamW.name))
    self.type = type
    learningRate = try section.number("learning_rate", default: 1e-5, in: 0...1e3)
    weightDecay = try section.number("weight_decay", default: 0, in: 0...1e3)
    decay = try section.choice("decay", default: .matrices)
    maxGradientNorm = try section.number("max_grad_norm", default: 1, in: 0...Double.greatestFiniteMagnitude)
    head = try RunConfiguration.HeadSettings(
      section.section("head"), learningRate: learningRate, weightDecay: weightDecay)
    var given: [String: String] = [:]
    for option in type.options { given[option.name] = try section.string(option.name, default: option.defaultText) }
    for name in OptimizerRegistry.optionNames where given[name] == nil {
      given[name] = try section.optionalString(name)
    }
    try section.finish()
    options = try OptimizerRegistry.options(given, for: type)
  }
}

extension RunConfiguration.HeadSettings {
  init(_ section: RecipeSection, learningRate: Double, weightDecay: Double) throws {
    self.learningRate = try section.number("learning_rate", default: learningRate, in: 0...1e3)
    self.weightDecay = try section.number("weight_decay", default: weightDecay, in: 0...1e3)
    maxGradientNorm = try section.optionalNumber("max_grad_norm", in: 0...Double.greatestFiniteMagnitude)
    try section.finish()
  }
}
