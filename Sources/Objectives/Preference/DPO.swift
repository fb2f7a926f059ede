import AlignmentCore

/// Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290, eq. 7), with conservative labels (Mitchell 2023,
/// "A note on DPO with noisy preferences", eq. 3): −log σ(β·Δ), Δ the difference of the log-ratios.
package struct DPO: PairObjective {
  package static let name = "dpo"
  package static let summary = "direct preference optimisation, arXiv 2305.18290; cDPO with label_smoothing > 0"
  package static let options = [OptionDescription.beta, .labelSmoothing]
  package let traits = ObjectiveTraits(.pair, needsReference: true)

  let beta: Double
  let labelSmoothing: Double

  package init(options: OptionValues) {
    beta = options["beta"]
    labelSmoothing = options["label_smoothing"]
  }

  func loss(_ chosen: DualCompletion, _ rejected: DualCompletion, in group: ObjectiveGroup) -> Dual {
    -logSigmoid(beta * (chosen.logRatio - rejected.logRatio))
  }

  package func reward(_ completion: ScoredCompletion) -> Double { beta * completion.logRatio }
}

extension OptionDescription {
  static let beta = OptionDescription(
    "beta", default: 0.1, in: 1e-6...1e3, "strength of the pull towards the reference")
  static let labelSmoothing = OptionDescription(
    "label_smoothing", default: 0, in: 0...0.5, "probability that a label is flipped")
}
