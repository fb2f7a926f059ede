import AlignmentCore

/// Sequence likelihood calibration with human feedback (Zhao et al. 2023, arXiv 2305.10425, eq. 4):
/// max(0, δ − log π(y⁺|x) + log π(y⁻|x)) − λ·log π(y⁺|x), on sums over tokens.
package struct SLiC: PairObjective {
  package static let name = "slic"
  package static let summary = "sequence likelihood calibration, arXiv 2305.10425"
  package static let options = [
    OptionDescription("delta", default: 1, in: 0...1e6, "margin of the log-probabilities"),
    OptionDescription("lambda", default: 0.1, in: 0...1e3, "weight of the chosen completion's likelihood"),
  ]
  package let traits = ObjectiveTraits(.pair, needsReference: false)

  private let delta: Double
  private let lambda: Double

  package init(options: OptionValues) {
    delta = options["delta"]
    lambda = options["lambda"]
  }

  func loss(_ chosen: DualCompletion, _ rejected: DualCompletion, in group: ObjectiveGroup) -> Dual {
    (Dual(delta) - chosen.policy + rejected.policy).positivePart - lambda * chosen.policy
  }

  package func reward(_ completion: ScoredCompletion) -> Double { completion.policy }
}
