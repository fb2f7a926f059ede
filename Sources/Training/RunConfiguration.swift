import AlignmentCore
import Collectives
import Objectives
import Optimization
import PreferenceData
import Transformer

/// Everything that defines a training run, as its recipe and the command line give it.
package struct RunConfiguration {
  /// Directory of checkpoints, metrics and the final model.
  package var run: String
  package var model: ModelOrigin
  /// Directory of the reference policy; nil is the model as loaded.
  package var reference: String?
  package var seed: UInt64
  package var length: Length
  package var data: DataSettings
  package var batch: BatchSettings
  package var loss: PreferenceLoss
  package var normalization: Normalization
  package var referenceSync: ReferenceSync
  package var optimizer: AdamW.Settings
  package var decay: DecayedParameters
  /// Largest global L2 norm of the gradient; 0 is no limit.
  package var maxGradientNorm: Double
  package var schedule: ScheduleSettings
  package var checkpoint: CheckpointSettings
  /// Optimiser steps between evaluations; 0 evaluates at the end only.
  package var evaluateEvery: Int
  package var reduction: GradientReduction.Mode
  /// BLAS threads per rank.
  package var threads: Int
  package var memory: MemoryBudget
  /// Directory of tokenised data and reference log-probabilities.
  package var cache: String
  /// Seconds without progress after which a rank gives up; 0 waits for ever.
  package var watchdogSeconds: Int
  /// All of the above as text.
  package var settings: ResolvedSettings

  /// How long the run is.
  package enum Length: Equatable {
    case steps(Int)
    case epochs(Double)
  }

  /// What summed losses are divided by.
  package enum Normalization: String, CaseIterable {
    /// The number of examples or tokens.
    case count
    /// The sum of their weights.
    case weight
  }

  /// How the reference follows the policy.
  package struct ReferenceSync: Equatable {
    /// Optimiser steps between two moves; 0 leaves the reference where it is.
    package var every: Int
    /// How far it moves, from 0 to 1.
    package var mixup: Double
  }

  /// Which parameters shrink by weight decay.
  package enum DecayedParameters: String, CaseIterable {
    case matrices
    case all
  }

  package struct DataSettings {
    package var train: [String]
    package var evaluation: [String]
    package var shuffle: Bool
    package var maxLength: Int?
    package var maxPromptLength: Int?
    package var keep: EncodingOptions.KeptPart
    package var boundary: EncodingOptions.Boundary
    package var onError: EncodingOptions.ErrorHandling
    package var controls: ControlTexts
  }

  package struct BatchSettings {
    /// Examples per optimiser step, over all ranks.
    package var size: Int
    /// Most tokens of a work unit; a longer prompt group is a unit of its own.
    package var unitTokens: Int
  }

  package struct ScheduleSettings {
    package var shape: LearningRateSchedule.Shape
    /// Steps, or below 1 a fraction of all steps.
    package var warmup: Double
  }

  package struct CheckpointSettings {
    /// Optimiser steps between checkpoints; 0 saves only when asked to stop.
    package var every: Int
    package var keep: Int
  }
}

extension RunConfiguration {
  /// Reads a recipe with overrides; nothing is silently corrected.
  ///
  /// - Throws: ``Fault`` that names the key.
  package init(recipe text: String, path: String, overrides: [String]) throws {
    var root = try RecipeNode.parse(text, path: path)
    try root.apply(overrides: overrides)
    root.settleLength(overrides)
    let settings = ResolvedSettings()
    let recipe = try RecipeSection(root, into: settings)
    self.settings = settings
    run = try recipe.string("run", hint: "name a directory for the run, for example run=runs/first")
    model = try ModelOrigin(recipe)
    reference = try recipe.optionalString("reference")
    seed = UInt64(try recipe.integer("seed", default: 0, in: 0...Int.max))
    length = try Self.length(recipe)
    data = try DataSettings(recipe.section("data"))
    batch = try BatchSettings(recipe.section("batch"))
    let objective = try recipe.section("objective")
    normalization = try objective.choice("normalization", default: Normalization.count)
    referenceSync = try ReferenceSync(objective)
    loss = try PreferenceLoss(objective)
    (optimizer, decay, maxGradientNorm) = try Self.optimizer(recipe.section("optimizer"))
    schedule = try ScheduleSettings(recipe.section("schedule"))
    checkpoint = try CheckpointSettings(recipe.section("checkpoint"))
    let evaluation = try recipe.section("eval")
    evaluateEvery = try evaluation.integer("every", default: 0, in: 0...Int.max)
    try evaluation.finish()
    reduction = try recipe.choice("reduction", default: .exact)
    threads = try recipe.integer("threads", default: 1, in: 1...1024)
    memory = try MemoryBudget(recipe.section("memory"))
    cache = try recipe.string("cache", default: CacheDirectory.byDefault)
    watchdogSeconds = try recipe.integer("watchdog", default: 600, in: 0...1_000_000)
    try recipe.finish()
  }

  /// `steps`, or else `epochs`.
  private static func length(_ recipe: RecipeSection) throws -> Length {
    let epochs = try recipe.number("epochs", default: 1, in: Double.leastNonzeroMagnitude...1e9)
    guard let steps = try recipe.optionalInteger("steps", in: 1...Int.max) else { return .epochs(epochs) }
    return .steps(steps)
  }

  private static func optimizer(_ section: RecipeSection) throws -> (AdamW.Settings, DecayedParameters, Double) {
    let name = try section.string("name", default: "adamw")
    guard name == "adamw" else {
      throw Fault(.configuration, "there is no optimizer \"\(name)\"", at: "optimizer.name", hint: "use adamw")
    }
    let settings = AdamW.Settings(
      learningRate: try section.number("learning_rate", default: 1e-5, in: 0...1e3),
      beta1: try section.number("beta1", default: 0.9, in: 0...0.999_999),
      beta2: try section.number("beta2", default: 0.999, in: 0...0.999_999_9),
      epsilon: try section.number("epsilon", default: 1e-8, in: 0...1),
      weightDecay: try section.number("weight_decay", default: 0, in: 0...1e3))
    let decay = try section.choice("decay", default: DecayedParameters.matrices)
    let norm = try section.number("max_grad_norm", default: 1, in: 0...Double.greatestFiniteMagnitude)
    try section.finish()
    return (settings, decay, norm)
  }
}

extension RunConfiguration.ReferenceSync {
  /// `objective.reference_sync` and `objective.reference_mixup`.
  fileprivate init(_ section: RecipeSection) throws {
    every = try section.integer("reference_sync", default: 0, in: 0...Int.max)
    mixup = try section.number("reference_mixup", default: 0.6, in: 0...1)
  }
}

extension PreferenceLoss {
  /// One objective or a list of them, with their options and modifiers.
  fileprivate init(_ section: RecipeSection) throws {
    let names = try section.strings("name", default: "dpo")
    let weights = try section.numbers("weights", in: 0...1e6)
    try self.init(names, weights: weights, settings: try section.remaining())
    for setting in settings { section.note(setting.name, setting.value) }
  }
}

extension RunConfiguration.DataSettings {
  fileprivate init(_ section: RecipeSection) throws {
    train = try section.strings("train")
    guard !train.isEmpty else {
      throw Fault(.configuration, "is missing", at: "data.train", hint: "name a JSONL file, plain, .gz or .zst")
    }
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
  fileprivate init(_ section: RecipeSection) throws {
    size = try section.integer("size", default: 32, in: 1...1 << 24)
    unitTokens = try section.integer("unit_tokens", default: 2048, in: 1...1 << 24)
    try section.finish()
  }
}

extension RunConfiguration.ScheduleSettings {
  fileprivate init(_ section: RecipeSection) throws {
    shape = try section.choice("name", default: .constant)
    warmup = try section.number("warmup", default: 0, in: 0...1e12)
    try section.finish()
  }

  /// Whether the learning rate of a step does not depend on how many steps there are.
  var ignoresLength: Bool { shape == .constant && (warmup == 0 || warmup >= 1) }

  /// The schedule of a run of a known length.
  func resolved(totalSteps: Int) -> LearningRateSchedule {
    let steps = warmup < 1 ? Int((warmup * Double(totalSteps)).rounded(.up)) : Int(warmup)
    return LearningRateSchedule(shape: shape, warmup: steps, totalSteps: totalSteps)
  }
}

extension RunConfiguration.CheckpointSettings {
  fileprivate init(_ section: RecipeSection) throws {
    every = try section.integer("every", default: 0, in: 0...Int.max)
    keep = try section.integer("keep", default: 2, in: 1...1_000_000)
    try section.finish()
  }
}

extension MemoryBudget {
  fileprivate init(_ section: RecipeSection) throws {
    let activations = try section.integer("activations_mb", default: 1024, in: 1...1 << 24)
    let logits = try section.integer("logits_mb", default: 128, in: 1...1 << 24)
    self.init(activations: activations << 20, logits: logits << 20)
    try section.finish()
  }
}
