import AlignmentCore
import Objectives
import Testing

/// An objective of the registry under one choice of options and modifiers.
struct Variant: Sendable, CustomTestStringConvertible {
  let name: String
  let settings: [String: String]
  let objective: any Objective

  var testDescription: String { "\(name) \(settings)" }

  var isPair: Bool { objective.traits.groupKind == .pair }

  /// Every objective with its defaults, with each option at the ends of its range, and with each modifier that it takes.
  static let all = ObjectiveRegistry.all.flatMap { type in
    let options = type.options.flatMap { option in option.extremes.map { [option.name: $0] } }
    return ([[:]] + options + modifiers).compactMap { settings in
      (try? PreferenceLoss([type.name], settings: settings)).map {
        Variant(name: type.name, settings: settings, objective: $0.objective)
      }
    }
  }

  /// Those whose losses are of one group each.
  static let uncoupled = all.filter { $0.objective.traits.survey != .own }

  private static let modifiers: [[String: String]] = [
    ["divergence": "forward_kl"], ["divergence": "js_divergence"], ["divergence": "alpha_divergence"],
    ["divergence": "alpha_divergence", "divergence_alpha": "0"],
    ["divergence": "alpha_divergence", "divergence_alpha": "1"], ["nll": "0.5"],
    ["nll": "0.5", "divergence": "forward_kl"],
  ]

  /// A group of the objective's kind whose completions have these log-ratios.
  func group(_ logRatios: SIMD2<Double>, softLabel: Double = 1) -> ObjectiveGroup {
    let first: Completion = (-20 + logRatios[0], -20, 5)
    var group =
      isPair
      ? pair(first, (-23 + logRatios[1], -23, 6), softLabel: softLabel) : single(first, softLabel: softLabel)
    (group.margin, group.examplesPerToken) = (0.5, 0.125)
    return group
  }
}

extension OptionDescription {
  /// The lowest and the highest number, or every choice.
  var extremes: [String] {
    switch kind {
    case .number(_, let range): ["\(range.lowerBound)", "\(range.upperBound)"]
    case .choice(_, let names): names
    }
  }
}
