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
    return "objectives\n" + objectives + choices.map { "\($0)\n  \($1.joined(separator: ", "))\n" }.joined()
  }

  private static func describe(_ type: any Objective.Type) -> String {
    let reference = type.needsReference ? ", needs a reference" : ""
    let head = "  \(type.name)  \(type.summary) [\(type.groupKind.rawValue)\(reference)]\n"
    return head + type.options.map { "    objective.\($0.name)=\($0.defaultText)  \($0.meaning)\n" }.joined()
  }
}
