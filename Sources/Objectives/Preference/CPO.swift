import AlignmentCore

/// Contrastive preference optimisation (Xu et al. 2024, arXiv 2401.08417, eq. 5–6): −log σ(β·(log π(y⁺|x) − log π(y⁻|x)))
/// and α times the negative log-likelihood of the chosen completion. Label smoothing is of the preference alone: nobody
/// wants to imitate the rejected completion.
package struct CPO: PairObjective {
  package static let name = "cpo"
  package static let summary = "reference-free DPO with likelihood of the chosen, arXiv 2401.08417"
  package static let options = [
    OptionDescription("beta", default: 0.1, in: 1e-6...1e3, "scale of the log-probabilities"),
    OptionDescription("alpha", default: 1, in: 0...1e3, "weight of the chosen completion's likelihood"),
    OptionDescription.labelSmoothing,
    OptionDescription("average", default: LikelihoodMean.tokens, LikelihoodMean.meaning),
  ]
  package let traits = ObjectiveTraits(.pair, needsReference: false)

  private let beta: Double
  private let alpha: Double
  private let flipped: Double
  private let mean: LikelihoodMean

  package init(options: OptionValues) {
    beta = options["beta"]
    alpha = options["alpha"]
    flipped = options["label_smoothing"]
    mean = options.choice("average")
  }

  func loss(_ chosen: DualCompletion, _ rejected: DualCompletion, in group: ObjectiveGroup) -> Dual {
    let z = beta * (chosen.policy - rejected.policy)
    let preference = -(1 - flipped) * logSigmoid(z) - flipped * logSigmoid(-z)
    return preference + alpha * mean.negativeLogLikelihood(chosen, in: group)
  }

  package func reward(_ completion: ScoredCompletion) -> Double { beta * completion.policy }
}
