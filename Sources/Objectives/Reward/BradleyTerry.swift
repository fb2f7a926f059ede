import AlignmentCore

/// The Bradley–Terry likelihood of a reward model (Ouyang et al. 2022, arXiv 2203.02155, eq. 1): −log σ(s⁺ − s⁻ − m), m the
/// margin of the row (Touvron et al. 2023, arXiv 2307.09288, eq. 2), and a penalty κ·(s⁺ + s⁻)² that keeps scores centred
/// (Eisenstein et al. 2023, arXiv 2312.09244, eq. 2).
package struct BradleyTerry: PairObjective {
  package static let name = "bradley_terry"
  package static let summary = "reward model on pairs, arXiv 2203.02155; margins from the data"
  package static let options = [
    OptionDescription(
      "centering", default: 0, in: 0...1e3, "weight of the squared sum of a pair's scores; 0.01 is usual"),
    OptionDescription.labelSmoothing,
  ]
  package let traits = ObjectiveTraits(.pair, needsReference: false, output: .score)

  private let centering: Double
  let labelSmoothing: Double

  package init(options: OptionValues) {
    centering = options["centering"]
    labelSmoothing = options["label_smoothing"]
  }

  func loss(_ chosen: DualCompletion, _ rejected: DualCompletion, in group: ObjectiveGroup) -> Dual {
    let likelihood = -logSigmoid(chosen.policy - rejected.policy - Dual(group.margin))
    return centering == 0 ? likelihood : likelihood + centering * (chosen.policy + rejected.policy).squared
  }

  package func reward(_ completion: ScoredCompletion) -> Double { completion.policy }
}
