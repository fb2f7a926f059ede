import AlignmentCore

/// Self-play preference optimisation with hard labels (Wu et al. 2024, arXiv 2405.00675, eq. 4.7 with P = 1 and 0):
/// (c − 1/(2β))² + (r + 1/(2β))², c and r the log-ratios of chosen and rejected.
package struct SPPO: PairObjective {
  package static let name = "sppo"
  package static let summary = "self-play: log-ratios regressed on ±1/(2 beta), arXiv 2405.00675"
  package static let options = [OptionDescription.beta]
  package let traits = ObjectiveTraits(.pair, needsReference: true)

  private let beta: Double

  package init(options: OptionValues) { beta = options["beta"] }

  func loss(_ chosen: DualCompletion, _ rejected: DualCompletion, in group: ObjectiveGroup) -> Dual {
    let target = Dual(1 / (2 * beta))
    return (chosen.logRatio - target).squared + (rejected.logRatio + target).squared
  }

  /// Log-ratios are pulled towards ±1/(2β).
  package var magnitude: Double { max(1, 1 / beta) }

  package func reward(_ completion: ScoredCompletion) -> Double { beta * completion.logRatio }
}
