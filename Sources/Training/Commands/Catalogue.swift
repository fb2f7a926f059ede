import Adaptation
import AlignmentCore
import Collectives
import Objectives
import Optimization
import Rewards
import Transformer

/// What recipes can choose from, as text; made from the registries.
package enum Catalogue {
  /// - Throws: ``Fault`` if an objective cannot be made from its own defaults.
  package static var text: String {
    get throws {
      let sections = [
        ("objectives", try objectives()),
        ("modifiers of these objectives", PreferenceLoss.modifiers.map { option($0, of: "objective") }),
        (
          "weights computed in the step, objective.weighting",
          StepWeightingRegistry.all.flatMap { entry($0.name, $0.summary, $0.options, "objective") }
        ),
        (
          "policy objectives",
          PolicyObjectiveRegistry.all.flatMap { entry($0.name, $0.summary, $0.options, "objective") }
        ),
        ("rewards of policy objectives", rewards()),
        (
          "density estimators of adalign weigh",
          DensityRegistry.all.flatMap { entry($0.name, $0.summary, $0.options, WeighingSettings.section) }
        ),
        ("what becomes of their ratios", weights()),
        ("optimizers", OptimizerRegistry.all.flatMap { entry($0.name, $0.summary, $0.options, "optimizer") }),
        ("schedules", LearningRateSchedule.Shape.allCases.map { row($0.rawValue, meaning(of: $0)) }),
        ("reductions", [list(GradientReduction.Mode.allCases.map(\.rawValue))]),
        ("model types", [list(ModelConfiguration.supportedTypes)]),
      ]
      return sections.map { title, lines in "\(title)\n" + lines.map { "\($0)\n" }.joined() }.joined(separator: "\n")
    }
  }

  /// Objectives by what they learn from.
  private static func objectives() throws -> [String] {
    let all = try ObjectiveRegistry.all.map { (type: $0, kind: kind(of: try ObjectiveRegistry.make($0.name).traits)) }
    return Kind.allCases.flatMap { kind in
      [" \(kind.rawValue)"]
        + all.filter { $0.kind == kind }.flatMap { entry($0.type.name, $0.type.summary, $0.type.options, "objective") }
    }
  }

  private enum Kind: String, CaseIterable {
    case supervised = "supervised"
    case referencePairs = "pairs, compared with a reference"
    case freePairs = "pairs, without a reference"
    case labelled = "labelled completions, compared with a reference"
    case rewardModels = "reward models"
  }

  private static func kind(of traits: ObjectiveTraits) -> Kind {
    if traits.output == .score { return .rewardModels }
    switch traits.groupKind {
    case .preferred, .conditioned: return .supervised
    case .pair: return traits.needsReference ? .referencePairs : .freePairs
    case .labelled, .scored: return .labelled
    }
  }

  private static func rewards() -> [String] {
    let others = [
      "model": "score of the reward model in the directory reward.model",
      "label": "1 for what the data call good, -1 for the rest; needs rollout.source=data",
      "score": "the data's own score; needs rollout.source=data",
    ]
    return RunConfiguration.RewardSettings.names.flatMap { name in
      let type = TextRewardRegistry.type(named: name)
      return entry(name, type?.summary ?? others[name] ?? "", type?.options ?? [], "reward")
    }
  }

  private static func weights() -> [String] {
    let settings = WeightSettings()
    return [
      OptionDescription("composition", default: settings.composition, "how the ratios of a row's responses become one"),
      OptionDescription("flatten", default: settings.flattening, "how a weight is kept from ruling all others"),
      OptionDescription("fallback", default: settings.fallback, "what replaces weights that a gate refuses"),
    ].map { option($0, of: WeighingSettings.section) }
  }

  private static func meaning(of shape: LearningRateSchedule.Shape) -> String {
    switch shape {
    case .constant: "stays after schedule.warmup"
    case .linear: "falls to schedule.minimum at the last step"
    case .cosine: "falls along half a cosine to schedule.minimum, arXiv 1608.03983"
    case .warmupStableDecay: "stays, then falls over schedule.decay as schedule.decay_shape says, arXiv 2404.06395"
    }
  }

  // MARK: - Lines

  private static func entry(
    _ name: String, _ summary: String, _ options: [OptionDescription], _ section: String
  ) -> [String] {
    [row(name, summary)] + options.map { option($0, of: section) }
  }

  private static func row(_ name: String, _ meaning: String) -> String { "  \(padded(name, to: 22))\(meaning)" }

  private static func option(_ option: OptionDescription, of section: String) -> String {
    let setting = padded("\(section).\(option.name)=\(brief(option.defaultText))", to: 34)
    guard case .choice(_, let names) = option.kind else { return "      \(setting)\(option.meaning)" }
    return "      \(setting)\(names.joined(separator: ", ")): \(option.meaning)"
  }

  private static func list(_ names: [String]) -> String { "  \(names.joined(separator: ", "))" }

  /// A number without a decimal point that says nothing.
  private static func brief(_ number: String) -> String { number.hasSuffix(".0") ? String(number.dropLast(2)) : number }

  /// At least one space stays between the columns.
  private static func padded(_ text: String, to width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.count))
  }
}
