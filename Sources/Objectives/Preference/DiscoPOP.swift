import AlignmentCore

/// Discovered preference optimisation (Lu et al. 2024, arXiv 2406.08414, eq. 5): with ℓ = β·Δ and m = σ(ℓ/τ),
/// (1 − m)·(−log σ(ℓ)) + m·e^(−ℓ).
package struct DiscoPOP: PairObjective {
  package static let name = "discopop"
  package static let summary = "log-ratio modulated loss found by search, arXiv 2406.08414"
  package static let options = [
    OptionDescription.beta,
    OptionDescription("discopop_tau", default: 0.05, in: 1e-3...1, "width of the blend"),
  ]
  package let traits = ObjectiveTraits(.pair, needsReference: true)

  private let beta: Double
  private let tau: Double

  package init(options: OptionValues) {
    beta = options["beta"]
    tau = options["discopop_tau"]
  }

  func loss(_ chosen: DualCompletion, _ rejected: DualCompletion, in group: ObjectiveGroup) -> Dual {
    let l = beta * (chosen.logRatio - rejected.logRatio)
    // m·e^(−ℓ) as one exponential: apart, its factors would overflow and vanish.
    return exp(logSigmoid(l / tau) - l) - logistic(-l / tau) * logSigmoid(l)
  }

  package func reward(_ completion: ScoredCompletion) -> Double { beta * completion.logRatio }
}
