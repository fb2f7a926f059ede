import AlignmentCore

/// Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290, eq. 7), with conservative labels (Mitchell 2023,
/// "A note on DPO with noisy preferences", eq. 3).
///
/// With z = β·Δ, Δ the difference of log-ratios of chosen and rejected, and p the probability that the label is right:
/// loss = −p·log σ(z) − (1 − p)·log σ(−z), ∂loss/∂z = σ(z) − p.
package struct DPO: Objective {
  package static let name = "dpo"
  package static let summary = "direct preference optimisation, arXiv 2305.18290; cDPO with label_smoothing > 0"
  package static let options = [
    OptionDescription("beta", default: 0.1, in: 1e-6...1e3, "strength of the pull towards the reference"),
    OptionDescription("label_smoothing", default: 0, in: 0...0.5, "probability that a label is flipped (cDPO)"),
  ]
  package static let groupKind = GroupKind.pair
  package static let needsReference = true
  package static let normalizationUnit = NormalizationUnit.examples

  let beta: Double
  let labelSmoothing: Double

  package init(options: OptionValues) {
    beta = options["beta"]
    labelSmoothing = options["label_smoothing"]
  }

  package func evaluate(_ group: ObjectiveGroup, derivatives: inout [Double]) -> Double {
    let z = beta * (group.completions[0].logRatio - group.completions[1].logRatio)
    let p = group.softLabel * (1 - labelSmoothing) + (1 - group.softLabel) * labelSmoothing
    derivatives[0] = beta * (logistic(z) - p)
    derivatives[1] = -derivatives[0]
    return p * softplus(-z) + (1 - p) * softplus(z)
  }

  package func reward(_ completion: CompletionLogProbability) -> Double? { beta * completion.logRatio }
}
