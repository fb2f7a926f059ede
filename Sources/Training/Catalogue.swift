import AlignmentCore
import Collectives
import Objectives
import Optimization
import Transformer

/// What recipes can choose from, as text; made from the registries.
package enum Catalogue {
  package static var text: String {
    let objectives = ObjectiveRegistry.all.map(describe).joined()
    let choices: [(String, [String])] = [
      ("optimizers", ["adamw"]), ("schedules", LearningRateSchedule.Shape.allCases.map(\.rawValue)),
      ("reductions", GradientReduction.Mode.allCases.map(\.rawValue)),
      ("model types", ModelConfiguration.supportedTypes),
    ]
    let modifiers = PreferenceLoss.modifiers.map { describe($0, in: "objective") }.joined()
    return "objectives\n" + objectives + "modifiers of objectives\n" + modifiers
      + choices.map { "\($0)\n  \($1.joined(separator: ", "))\n" }.joined()
  }

  private static func describe(_ type: any Objective.Type) -> String {
    "  \(type.name)  \(type.summary)\n" + type.options.map { describe($0, in: "objective") }.joined()
  }

  private static func describe(_ option: OptionDescription, in section: String) -> String {
    "    \(section).\(option.name)=\(option.defaultText)  \(option.meaning)\n"
  }
}
