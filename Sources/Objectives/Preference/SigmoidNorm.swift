import AlignmentCore

/// Length-normalised DPO (Tulu 3, Lambert et al. 2024, arXiv 2411.15124, eq. 6): −log σ(β·(c/T⁺ − r/T⁻)), T the lengths in
/// tokens.
package struct SigmoidNorm: PairObjective {
  package static let name = "sigmoid_norm"
  package static let summary = "DPO on log-ratios per token, arXiv 2411.15124"
  package static let options = [OptionDescription.beta, .labelSmoothing]
  package let traits = ObjectiveTraits(.pair, needsReference: true)

  private let beta: Double
  let labelSmoothing: Double

  package init(options: OptionValues) {
    beta = options["beta"]
    labelSmoothing = options["label_smoothing"]
  }

  func loss(_ chosen: DualCompletion, _ rejected: DualCompletion, in group: ObjectiveGroup) -> Dual {
    -logSigmoid(beta * (chosen.logRatio / chosen.tokens - rejected.logRatio / rejected.tokens))
  }

  package func reward(_ completion: ScoredCompletion) -> Double {
    beta * completion.logRatio / Double(completion.tokens)
  }
}
