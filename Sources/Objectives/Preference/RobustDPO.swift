import AlignmentCore

/// DPO whose expectation under flipped labels is the loss of the true ones (Ray Chowdhury et al. 2024, arXiv 2403.00409,
/// eq. 12): ((1 − ε)·ℓ(y⁺, y⁻) − ε·ℓ(y⁻, y⁺)) / (1 − 2ε).
package struct RobustDPO: PairObjective {
  package static let name = "robust"
  package static let summary = "DPO unbiased under flipped labels, arXiv 2403.00409"
  package static let options = [
    OptionDescription.beta,
    OptionDescription("label_smoothing", default: 0.1, in: 0...0.49, "probability that a label is flipped"),
  ]
  package let traits = ObjectiveTraits(.pair, needsReference: true)

  let beta: Double
  private let flipped: Double

  package init(options: OptionValues) {
    beta = options["beta"]
    flipped = options["label_smoothing"]
  }

  func loss(_ chosen: DualCompletion, _ rejected: DualCompletion, in group: ObjectiveGroup) -> Dual {
    let z = beta * (chosen.logRatio - rejected.logRatio)
    return (-(1 - flipped) * logSigmoid(z) + flipped * logSigmoid(-z)) / (1 - 2 * flipped)
  }

  package func reward(_ completion: ScoredCompletion) -> Double { beta * completion.logRatio }
}
