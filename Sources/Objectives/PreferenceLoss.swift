import AlignmentCore

/// An objective, or several, with the modifiers that a recipe puts on it: what a trainer minimises.
package struct PreferenceLoss: Sendable {
  package var objective: any Objective
  package let reduction: TokenReduction
  /// What multiplies the losses of training, beside the weights of the data.
  package let weighting: (any StepWeighting)?
  /// The settings in effect, in the order of their descriptions.
  package let settings: [(name: String, value: String)]
  /// Whether a part of it is a mean over the tokens of the batch.
  package var averagesOverTokens: Bool {
    settings.contains { $0 == ("average", LikelihoodMean.tokens.rawValue) }
      || settings.contains { $0.name == "nll" && Double($0.value) != 0 }
  }

  /// Modifiers that compose with the objectives.
  package static let modifiers = [
    OptionDescription(
      "divergence", default: Divergence.Name.reverseKL, "f-divergence from the reference, arXiv 2309.16240"),
    OptionDescription("divergence_alpha", default: 0.5, in: 0...1, "alpha of the alpha divergence"),
    OptionDescription(
      "ld_alpha", default: 1, in: 0...1, "factor on tokens beyond the shorter completion; LD-DPO, arXiv 2409.06411"),
    OptionDescription("humanline", default: YesOrNo.no, "clamp each token's log-ratio, arXiv 2509.24207"),
    OptionDescription("log_epsilon_P", default: -1, in: -1e3...0, "lower bound of humanline's log-ratios"),
    OptionDescription("log_epsilon_R", default: 1.5, in: 0...1e3, "upper bound of humanline's log-ratios"),
    OptionDescription("nll", default: 0, in: 0...1e3, "weight of the chosen completion's likelihood per token (RPO)"),
    OptionDescription(
      "weighting", default: StepWeightingRegistry.none, of: StepWeightingRegistry.names,
      "weights computed in the step by the policy"),
  ]

  /// Makes what a recipe's `objective` section describes.
  ///
  /// - Parameters:
  ///   - names: one objective, or several to be added.
  ///   - weights: one for each name; empty is 1 for each.
  ///   - settings: options of the objectives and modifiers.
  /// - Throws: ``Fault`` that names the key.
  package init(_ names: [String], weights: [Double] = [], settings: [String: String] = [:]) throws {
    try Self.check(names, weights, given: settings)
    let known = Set(Self.modifiers.map(\.name))
    let modifiers = try OptionValues(
      settings.filter { known.contains($0.key) }, for: Self.modifiers, of: "the objective", in: "objective")
    let options = settings.filter { !known.contains($0.key) && !StepWeightingRegistry.optionNames.contains($0.key) }
    try Self.checkOptions(options, of: names)
    var terms = try names.enumerated().map { index, name in
      (objective: try ObjectiveRegistry.make(name, settings: options), weight: weights.isEmpty ? 1 : weights[index])
    }
    let traits = try Mixture(terms).traits
    reduction = TokenReduction(
      excessFactor: modifiers["ld_alpha"],
      clamp: modifiers.choice("humanline") == YesOrNo.yes
        ? modifiers["log_epsilon_P"]...modifiers["log_epsilon_R"] : nil)
    let divergence = Divergence(modifiers.choice("divergence"), alpha: modifiers["divergence_alpha"])
    weighting = try StepWeightingRegistry.make(modifiers.name("weighting"), settings: settings)
    try Self.check(traits, reduction, divergence)
    try weighting?.check(traits)
    try Self.checkLikelihoods(names, modifiers["nll"], reduction)
    if modifiers["nll"] > 0 { terms.append((try Self.likelihood(beside: traits), modifiers["nll"])) }
    objective = try Self.combine(terms, divergence)
    self.settings = Self.settings(names, weighting, given: settings)
  }

  /// A likelihood is of all tokens as they are; a reduction would weaken it unseen.
  private static func checkLikelihoods(
    _ names: [String], _ weight: Double, _ reduction: TokenReduction
  ) throws {
    let likelihoods = [SFT.name, ConditionalSFT.name, SLiC.name, CPO.name, ORPO.name]
    guard !reduction.isPlain, weight > 0 || names.contains(where: likelihoods.contains) else { return }
    throw Fault(
      .configuration, "does not go with the likelihood of \(names.first(where: likelihoods.contains) ?? "nll")",
      at: reduction.clamp == nil ? "objective.ld_alpha" : "objective.humanline", hint: "leave one of them out")
  }

  /// The term of the `nll` modifier.
  private static func likelihood(beside traits: ObjectiveTraits) throws -> any Objective {
    guard traits.groupKind != .conditioned, traits.output == .logProbability else {
      throw Fault(
        .configuration, "goes neither with csft nor with reward models", at: "objective.nll", hint: "use it with dpo")
    }
    return try ObjectiveRegistry.make("sft")
  }

  /// The sum of the terms; a divergence is of those that look at the reference.
  private static func combine(
    _ terms: [(objective: any Objective, weight: Double)], _ divergence: Divergence
  ) throws -> any Objective {
    let terms = terms.map { term in
      let isDivergent = divergence != .reverseKL && term.objective.traits.needsReference
      return isDivergent ? (DivergentObjective(term.objective, divergence), term.weight) : term
    }
    return terms.count == 1 && terms[0].weight == 1 ? terms[0].objective : try Mixture(terms)
  }

  private static func check(_ names: [String], _ weights: [Double], given: [String: String]) throws {
    guard !names.isEmpty else {
      throw Fault(.configuration, "names no objective", at: "objective.name", hint: "the default is dpo")
    }
    guard weights.isEmpty || weights.count == names.count else {
      throw Fault(
        .configuration, "\(weights.count) weights for \(names.count) objectives", at: "objective.weights",
        hint: "give one weight for each objective")
    }
    for weight in weights where !(weight >= 0 && weight.isFinite) {
      throw Fault(.configuration, "\(weight) is no weight", at: "objective.weights", hint: "weights are numbers from 0")
    }
    try checkDefaults(names, given: given)
  }

  /// What is neither an option of any objective nor a modifier is refused with both kinds named.
  private static func checkOptions(_ given: [String: String], of names: [String]) throws {
    let types = names.compactMap(ObjectiveRegistry.type)
    guard types.count == names.count,
      let unknown = given.keys.sorted().first(where: { !ObjectiveRegistry.optionNames.contains($0) })
    else { return }
    let own = Set(types.flatMap { $0.options.map(\.name) }).sorted().joined(separator: ", ")
    throw Fault(
      .configuration, "objective \(names.joined(separator: ", ")) has no option \"\(unknown)\"",
      at: "objective.\(unknown)",
      hint: "its options are \(own); modifiers are \(modifiers.map(\.name).joined(separator: ", "))")
  }

  /// One list of settings must say what every objective of a mixture was given.
  private static func checkDefaults(_ names: [String], given: [String: String]) throws {
    var defaults: [String: String] = [:]
    for option in names.flatMap({ ObjectiveRegistry.type(named: $0)?.options ?? [] }) where given[option.name] == nil {
      let other = defaults.updateValue(option.defaultText, forKey: option.name)
      guard other == nil || other == option.defaultText else {
        throw Fault(
          .configuration, "has different defaults in \(names.joined(separator: " and "))",
          at: "objective.\(option.name)",
          hint: "set objective.\(option.name)")
      }
    }
  }

  private static func check(_ traits: ObjectiveTraits, _ reduction: TokenReduction, _ divergence: Divergence) throws {
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
        .configuration, "reward models have no token log-probabilities", at: "objective.ld_alpha", hint: "leave it out")
    }
  }

  /// Every option that counts, with its value.
  private static func settings(
    _ names: [String], _ weighting: (any StepWeighting)?, given: [String: String]
  ) -> [(name: String, value: String)] {
    let own = names.flatMap { ObjectiveRegistry.type(named: $0)?.options ?? [] }
    let weightingOptions = weighting.map { type(of: $0).options } ?? []
    var seen = Set<String>()
    return (own + modifiers + weightingOptions).filter { seen.insert($0.name).inserted }.map {
      ($0.name, given[$0.name] ?? $0.defaultText)
    }
  }
}
