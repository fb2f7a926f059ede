import AlignmentCore

/// The methods of the literature as recipes of `adalign adapt`: what a recipe with `preset:` does not say itself.
package enum AdaptationPreset {
  /// A preset: its name, where it is from, and its settings as YAML.
  package struct Entry: Sendable {
    package let name: String
    /// One line for `adalign list`.
    package let summary: String
    let settings: String
  }

  package static let all: [Entry] = [
    Entry(
      name: "oaif", summary: "OAIF (arXiv 2402.04792): label pairs of the current policy at every step",
      settings: """
        policy:
          online:
            samples: 2
            label:
              judge: {name: reward_model}
              pairing: {name: first_round}
          objective: {name: dpo, beta: 0.1}
        """),
    Entry(
      name: "iterative_dpo", summary: "DPO in rounds on pairs of the policy's own samples, best against worst",
      settings: """
        rounds: 3
        reference: previous
        sample: {samples: 8}
        label:
          judge: {name: reward_model}
          pairing: {name: max_min}
        mix: {source: 0}
        policy:
          objective: {name: dpo, beta: 0.1}
        """),
    Entry(
      name: "rso", summary: "RSO (arXiv 2309.06657): pairs of samples that rejection sampling kept",
      settings: """
        rounds: 1
        sample: {samples: 64, temperature: 0.7, top_k: 40}
        label:
          judge: {name: reward_model}
          resample: {keep: 8, beta: 0.5}
          pairing: {name: first_round}
        mix: {source: 0}
        policy:
          objective: {name: sigmoid_norm}
        """),
    Entry(
      name: "ocrm", summary: "OCRM (arXiv 2507.15507): the reward model is weighed anew in each round, then GRPO",
      settings: """
        rounds: 3
        reference: initial
        weights: {estimator: importance, flatten: ess, ess: 0.5}
        reward_model:
          refit: each_round
          learn_from: source
          train:
            objective: {name: bradley_terry, centering: 0.01}
        policy:
          objective: {name: grpo, beta: 0.04}
          reward: {name: model}
        """),
    Entry(
      name: "self_rewarding", summary: "self-rewarding (arXiv 2401.10020): the policy judges its own samples",
      settings: """
        rounds: 3
        reference: previous
        sample: {samples: 4, temperature: 0.7, top_p: 0.9}
        label:
          judge: {name: language_model, form: pointwise}
          pairing: {name: max_min}
        mix: {source: 0}
        policy:
          objective: {name: dpo, beta: 0.1}
        """),
    Entry(
      name: "west_of_n", summary: "West-of-N (arXiv 2401.12086): the reward model learns from its own best and worst",
      settings: """
        rounds: 1
        sample: {samples: 64}
        label:
          judge: {name: reward_model}
          pairing: {name: max_min}
          filter: {gap_quantile: 0.5}
        mix: {source: 1, pseudo: 1}
        reward_model:
          refit: each_round
          learn_from: mixture
          train:
            objective: {name: bradley_terry, centering: 0.01}
        policy:
          objective: {name: grpo, beta: 0.04}
          reward: {name: model}
        """),
    Entry(
      name: "combined", summary: "weighed source data, pseudo-labels, and an expert judge for some of them",
      settings: """
        rounds: 3
        reference: initial
        sample: {samples: 8}
        weights: {estimator: discriminator, flatten: ess, ess: 0.5}
        reward_model:
          refit: each_round
          learn_from: source
          train:
            objective: {name: bradley_terry, centering: 0.01}
        label:
          judge: {name: reward_model}
          pairing: {name: max_min}
        mix: {measure: effective}
        policy:
          objective: {name: dpo, beta: 0.1}
        """),
  ]

  /// A recipe with what its preset adds.
  ///
  /// A section whose method the recipe chooses itself gets nothing of the preset's method.
  ///
  /// - Throws: ``Fault`` for an unknown preset.
  static func complete(_ recipe: RecipeNode) throws -> RecipeNode {
    guard case .scalar(let name) = recipe["preset"] else { return recipe }
    guard let preset = all.first(where: { $0.name == name }) else {
      throw Fault(
        .configuration, "there is no preset \"\(name)\"", at: "preset",
        hint: "presets are \(all.map(\.name).joined(separator: ", "))")
    }
    return recipe.completed(by: try RecipeNode.parse(preset.settings, path: "preset \(name)"))
  }
}
