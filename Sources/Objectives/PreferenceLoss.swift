import AlignmentCore

/// An objective, or several, with the modifiers that a recipe puts on it: what a trainer minimises.
package struct PreferenceLoss: Sendable {
  package var objective: any Objective
  package let reduction: TokenReduction
  /// The settings in effect, in the order of their descriptions.
  package let settings: [(name: String, value: String)]

  /// Modifiers that compose with the objectives.
  package static let modifiers = [
    OptionDescription(
      "divergence", default: Divergence.Name.reverse_kl, "f-divergence from the reference, arXiv 2309.16240"),
    OptionDescription("divergence_alpha", default: 0.5, in: 0...1, "alpha of the alpha divergence"),
    OptionDescription(
      "ld_alpha", default: 1, in: 0...1, "factor on tokens beyond the shorter completion; LD-DPO, arXiv 2409.06411"),
    OptionDescription("humanline", default: YesOrNo.no, "clamp each token's log-ratio, arXiv 2509.24207"),
    OptionDescription("log_epsilon_P", default: -1, in: -1e3...0, "lower bound of humanline's log-ratios"),
    OptionDescription("log_epsilon_R", default: 1.5, in: 0...1e3, "upper bound of humanline's log-ratios"),
    OptionDescription("nll", default: 0, in: 0...1e3, "weight of the chosen completion's likelihood per token (RPO)"),
  ]

  /// Makes what a recipe's `objective` section describes.
  ///
  /// - Parameters:
  ///   - names: one objective, or several to be added.
  ///   - weights: one for each name; empty is 1 for each.
  ///   - settings: options of the objectives and modifiers.
  /// - Throws: ``Fault`` that names the key.
  package init(_ names: [String], weights: [Double] = [], settings: [String: String] = [:]) throws {
    guard weights.isEmpty || weights.count == names.count else {
      throw Fault(
        .configuration, "\(weights.count) weights for \(names.count) objectives", at: "objective.weights",
        hint: "give one weight for each objective")
    }
    let known = Set(Self.modifiers.map(\.name))
    let modifiers = try OptionValues(
      settings.filter { known.contains($0.key) }, for: Self.modifiers, of: "the objective", in: "objective")
    let options = settings.filter { !known.contains($0.key) }
    let terms = try names.enumerated().map { index, name in
      (objective: try ObjectiveRegistry.make(name, settings: options), weight: weights.isEmpty ? 1 : weights[index])
    }
    objective = try Self.combine(terms, likelihood: modifiers["nll"])
    reduction = TokenReduction(
      excessFactor: modifiers["ld_alpha"],
      clamp: modifiers.choice("humanline") == YesOrNo.yes
        ? modifiers["log_epsilon_P"]...modifiers["log_epsilon_R"] : nil)
    let divergence = Divergence(modifiers.choice("divergence"), alpha: modifiers["divergence_alpha"])
    try Self.check(objective, reduction, divergence)
    if divergence != .reverseKL { objective = DivergentObjective(objective, divergence) }
    self.settings = Self.settings(names, given: settings)
  }

  private static func combine(
    _ terms: [(objective: any Objective, weight: Double)], likelihood: Double
  ) throws -> any Objective {
    var terms = terms
    if likelihood > 0 { terms.append((try ObjectiveRegistry.make("sft"), likelihood)) }
    return terms.count == 1 && terms[0].weight == 1 ? terms[0].objective : try Mixture(terms)
  }

  private static func check(_ objective: any Objective, _ reduction: TokenReduction, _ divergence: Divergence) throws {
    let traits = objective.traits
    guard divergence == .reverseKL || (traits.needsReference && traits.survey == .none) else {
      throw Fault(
        .configuration, "needs an objective on log-ratios to a reference", at: "objective.divergence",
        hint: "use it with dpo, robust, ipo, hinge, exo, nca, sppo, apo_zero, apo_down, bco_pair or discopop")
    }
    guard reduction.clamp == nil || traits.needsReference else {
      throw Fault(
        .configuration, "needs an objective with a reference", at: "objective.humanline", hint: "use it with dpo or kto"
      )
    }
    guard reduction.excessFactor == 1 || traits.groupKind == .pair else {
      throw Fault(.configuration, "needs an objective on pairs", at: "objective.ld_alpha", hint: "use it with dpo")
    }
    guard reduction.isPlain || traits.output == .logProbability else {
      throw Fault(
        .configuration, "reward models have no token log-probabilities", at: "objective",
        hint: "leave ld_alpha and humanline out")
    }
  }

  /// Every option that counts, with its value.
  private static func settings(_ names: [String], given: [String: String]) -> [(name: String, value: String)] {
    let own = names.flatMap { ObjectiveRegistry.type(named: $0)?.options ?? [] }
    var seen = Set<String>()
    return (own + modifiers).filter { seen.insert($0.name).inserted }.map {
      ($0.name, given[$0.name] ?? $0.defaultText)
    }
  }
}
