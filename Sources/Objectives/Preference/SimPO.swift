import AlignmentCore

/// Simple preference optimisation (Meng et al. 2024, arXiv 2405.14734, eq. 6): −log σ(β·(a⁺ − a⁻) − γ), a the
/// log-probability per token.
package struct SimPO: PairObjective {
  package static let name = "simpo"
  package static let summary = "length-normalised and reference-free, arXiv 2405.14734"
  package static let options = [
    OptionDescription("beta", default: 2, in: 1e-6...1e3, "scale of the log-probability per token"),
    OptionDescription(
      "gamma", default: 1, in: 0...1e3, "target margin of the rewards; beta times HALOs' gamma_beta_ratio"),
  ]
  package let traits = ObjectiveTraits(.pair, needsReference: false)

  private let beta: Double
  private let gamma: Double

  package init(options: OptionValues) {
    beta = options["beta"]
    gamma = options["gamma"]
  }

  func loss(_ chosen: DualCompletion, _ rejected: DualCompletion, in group: ObjectiveGroup) -> Dual {
    -logSigmoid(beta * (chosen.average - rejected.average) - Dual(gamma))
  }

  package func reward(_ completion: ScoredCompletion) -> Double { beta * completion.policy / Double(completion.tokens) }
}
