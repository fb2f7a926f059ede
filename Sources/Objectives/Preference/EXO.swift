import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// Efficient exact optimisation on pairs (Ji et al. 2024, arXiv 2402.00856, eq. 16): the reverse Kullback–Leibler divergence
/// from the smoothed label to the policy's preference, KL(σ(β·Δ) ‖ 1 − ε).
package struct EXO: PairObjective {
  package static let name = "exo"
  package static let summary = "reverse KL between the policy's preference and the label, arXiv 2402.00856"
  package static let options = [
    OptionDescription.beta,
    OptionDescription("label_smoothing", default: 1e-3, in: 1e-12...0.5, "probability that a label is flipped"),
  ]
  package let traits = ObjectiveTraits(.pair, needsReference: true)

  private let beta: Double
  private let flipped: Double

  package init(options: OptionValues) {
    beta = options["beta"]
    flipped = options["label_smoothing"]
  }

  func loss(_ chosen: DualCompletion, _ rejected: DualCompletion, in group: ObjectiveGroup) -> Dual {
    let z = beta * (chosen.logRatio - rejected.logRatio)
    return logistic(z) * (logSigmoid(z) - Dual(log1p(-flipped)))
      + logistic(-z) * (logSigmoid(-z) - Dual(log(flipped)))
  }

  package func reward(_ completion: ScoredCompletion) -> Double { beta * completion.logRatio }
}
