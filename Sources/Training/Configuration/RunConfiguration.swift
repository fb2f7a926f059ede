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
  package var method: Method
  /// Preferences from the policy itself, at every step; nil learns from the data alone.
  package var online: OnlineSettings?
  /// Adapters to be trained instead of all parameters.
  package var lora: LoRASettings?
  package var normalization: Normalization
  package var referenceSync: ReferenceSync
  /// How the domains of the data are weighed against each other; nil counts every example alike.
  package var groupDRO: GroupDROSettings?
  package var optimizer: OptimizerSettings
  package var schedule: ScheduleSettings
  package var checkpoint: CheckpointSettings
  package var evaluation: EvaluationSettings
  package var reduction: GradientReduction.Mode
  /// Nil where it follows from where the ranks are.
  package var communication: CommunicationMode?
  /// BLAS threads per rank.
  package var threads: Int
  package var memory: MemoryBudget
  /// Directory of tokenised data and reference log-probabilities.
  package var cache: String
  /// How long without progress a rank waits before it gives up.
  var watchdog: Watchdog.Limit
  package var nonFinite: NonFiniteSettings
  package var check: CheckSettings
  /// All of the above as text.
  package var settings: ResolvedSettings

  /// How long the run is.
  package enum Length: Sendable, Equatable {
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

  /// Group distributionally robust optimisation over domains.
  package struct GroupDROSettings: Equatable {
    /// How fast weights move towards the domains with large losses.
    package var step: Double
    /// C: what small domains have on top of their losses, divided by the root of their size.
    package var adjustment: Double
  }

  /// Which parameters shrink by weight decay.
  package enum DecayedParameters: String, CaseIterable {
    case matrices
    case all
  }

  package struct DataSettings {
    package var train: [String]
    /// A file of weights, which ``Weighing`` wrote for the training data.
    package var weights: String?
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

  package struct OptimizerSettings {
    package var type: any Optimizer.Type
    package var options: OptionValues
    package var learningRate: Double
    package var weightDecay: Double
    package var decay: DecayedParameters
    /// Largest global L2 norm of the gradient; 0 is no limit.
    package var maxGradientNorm: Double
    package var head: HeadSettings
  }

  /// What a score or value head has of its own.
  package struct HeadSettings {
    package var learningRate: Double
    package var weightDecay: Double
    /// Largest norm of the head's own gradient; nil clips it together with the rest.
    package var maxGradientNorm: Double?
  }

  package struct ScheduleSettings {
    package var shape: LearningRateSchedule.Shape
    /// Steps, or below 1 a fraction of all steps.
    package var warmup: Double
    /// What a falling factor ends at.
    package var minimum: Double
    /// How `warmup_stable_decay` ends: steps, or below 1 a fraction of all steps.
    package var decay: Double
    package var decayCurve: LearningRateSchedule.Decay.Curve
  }

  package struct EvaluationSettings {
    /// Optimiser steps between evaluations; 0 evaluates at the end only.
    package var every: Int
    /// Files of prompts that the model answers at each evaluation.
    package var prompts: [String]
    package var maxNewTokens: Int
    package var temperature: Double
  }

  package struct CheckpointSettings {
    /// Optimiser steps between checkpoints; 0 saves only when asked to stop.
    package var every: Int
    package var keep: Int
    /// Whether training goes on while a checkpoint is written.
    package var isAsynchronous: Bool
  }

  /// What becomes of a step whose loss or gradient is not finite.
  package struct NonFiniteSettings {
    package enum Action: String, CaseIterable {
      /// The run ends.
      case stop
      /// The step changes nothing, and the next one follows.
      case skip
    }

    package var action: Action
    /// Steps in a row that may be skipped.
    package var mostSkips: Int
  }

  /// How often ranks compare their weights.
  package struct CheckSettings {
    /// Optimiser steps between comparisons; 0 compares only before a checkpoint.
    package var every: Int

    /// Whether a step, counted from 0, compares.
    func isDue(_ step: Int) -> Bool { every > 0 && (step + 1) % every == 0 }
  }
}

extension RunConfiguration {
  /// Reads a recipe with overrides; nothing is silently corrected.
  ///
  /// - Throws: ``Fault`` that names the key.
  package init(recipe text: String, path: String, overrides: [String]) throws {
    var root = try RecipeNode.parse(text, path: path)
    try root.apply(overrides: overrides)
    try self.init(root)
  }

  /// Reads a recipe that is parsed already.
  init(_ root: RecipeNode) throws {
    let settings = ResolvedSettings()
    let recipe = try RecipeSection(root, into: settings)
    self.settings = settings
    run = try recipe.string("run", hint: "name a directory for the run, for example run=runs/first")
    model = try ModelOrigin(recipe)
    reference = try recipe.optionalString("reference")
    lora = recipe.isTable("lora") ? try LoRASettings(recipe.section("lora")) : nil
    seed = UInt64(try recipe.integer("seed", default: 0, in: 0...Int.max))
    length = try Self.length(recipe)
    data = try DataSettings(recipe.section("data"))
    batch = try BatchSettings(recipe.section("batch"))
    let objective = try recipe.section("objective")
    normalization = try objective.choice("normalization", default: Normalization.count)
    referenceSync = try ReferenceSync(objective)
    groupDRO = try GroupDROSettings(objective)
    method = try Method(objective, recipe)
    online = recipe.isTable("online") ? try OnlineSettings(recipe.section("online")) : nil
    optimizer = try OptimizerSettings(recipe.section("optimizer"))
    schedule = try ScheduleSettings(recipe.section("schedule"))
    checkpoint = try CheckpointSettings(recipe.section("checkpoint"))
    evaluation = try EvaluationSettings(recipe.section("eval"))
    reduction = try recipe.choice("reduction", default: .exact)
    communication = try recipe.automaticChoice("communication")
    threads = try recipe.integer("threads", default: 1, in: 1...1024)
    memory = try MemoryBudget(recipe.section("memory"))
    cache = try recipe.string("cache", default: CacheDirectory.byDefault)
    watchdog = try Watchdog.Limit(recipe)
    nonFinite = try NonFiniteSettings(recipe)
    check = try CheckSettings(recipe.section("check"))
    try recipe.finish()
    try checkWeights()
  }

  /// `steps`, or else `epochs`.
  private static func length(_ recipe: RecipeSection) throws -> Length {
    let epochs = try recipe.number("epochs", default: 1, in: Double.leastNonzeroMagnitude...1e9)
    guard let steps = try recipe.optionalInteger("steps", in: 1...Int.max) else { return .epochs(epochs) }
    return .steps(steps)
  }
}
