import AlignmentCore

/// Anchored preference optimisation, APO-zero (D'Oosterlinck et al. 2024, arXiv 2408.06266, eq. 7):
/// 1 − σ(β·c) + σ(β·r) raises the chosen completion and lowers the rejected one.
package struct APOZero: PairObjective {
  package static let name = "apo_zero"
  package static let summary = "raises the chosen, lowers the rejected, arXiv 2408.06266"
  package static let options = [OptionDescription.beta]
  package let traits = ObjectiveTraits(.pair, needsReference: true)

  private let beta: Double

  package init(options: OptionValues) { beta = options["beta"] }

  func loss(_ chosen: DualCompletion, _ rejected: DualCompletion, in group: ObjectiveGroup) -> Dual {
    logistic(-beta * chosen.logRatio) + logistic(beta * rejected.logRatio)
  }

  package func reward(_ completion: ScoredCompletion) -> Double { beta * completion.logRatio }
}

/// Anchored preference optimisation, APO-down (arXiv 2408.06266, eq. 8): σ(β·c) + 1 − σ(β·Δ) lowers both completions, the
/// rejected one more.
package struct APODown: PairObjective {
  package static let name = "apo_down"
  package static let summary = "lowers both, the rejected more, arXiv 2408.06266"
  package static let options = [OptionDescription.beta]
  package let traits = ObjectiveTraits(.pair, needsReference: true)

  private let beta: Double

  package init(options: OptionValues) { beta = options["beta"] }

  func loss(_ chosen: DualCompletion, _ rejected: DualCompletion, in group: ObjectiveGroup) -> Dual {
    logistic(beta * chosen.logRatio) + logistic(-beta * (chosen.logRatio - rejected.logRatio))
  }

  package func reward(_ completion: ScoredCompletion) -> Double { beta * completion.logRatio }
}
