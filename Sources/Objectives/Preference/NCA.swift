import AlignmentCore

/// Noise contrastive alignment on pairs (Chen et al. 2024, arXiv 2402.05369, eq. 12):
/// −log σ(β·c) − ½·log σ(−β·c) − ½·log σ(−β·r), c and r the log-ratios of chosen and rejected.
package struct NCA: PairObjective {
  package static let name = "nca"
  package static let summary = "noise contrastive alignment: keeps the chosen likely, arXiv 2402.05369"
  package static let options = [OptionDescription.beta]
  package let traits = ObjectiveTraits(.pair, needsReference: true)

  private let beta: Double

  package init(options: OptionValues) { beta = options["beta"] }

  func loss(_ chosen: DualCompletion, _ rejected: DualCompletion, in group: ObjectiveGroup) -> Dual {
    let (c, r) = (beta * chosen.logRatio, beta * rejected.logRatio)
    return -logSigmoid(c) - 0.5 * logSigmoid(-c) - 0.5 * logSigmoid(-r)
  }

  package func reward(_ completion: ScoredCompletion) -> Double { beta * completion.logRatio }
}
