import AlignmentCore

/// Binary classifier optimisation (Jung et al. 2024, arXiv 2404.04656, eq. 12): a desirable completion costs
/// −log σ(β·z − δ), an undesirable one −log σ(−(β·z − δ)), z its log-ratio and δ the shift of the rewards: their mean over
/// all earlier steps of the run.
package struct BCO: LabelledObjective {
  package static let name = "bco"
  package static let summary = "binary classifier with reward shift, arXiv 2404.04656"
  package static let options = [OptionDescription.beta]
  package let traits = ObjectiveTraits(.labelled, needsReference: true)

  private let beta: Double
  /// Sum and number of the rewards seen.
  package var state = [0.0, 0]

  package init(options: OptionValues) { beta = options["beta"] }

  private var shift: Double { state[1] > 0 ? state[0] / state[1] : 0 }

  func loss(desirable completion: DualCompletion, in group: ObjectiveGroup) -> Dual {
    -logSigmoid(beta * completion.logRatio - Dual(shift))
  }

  func loss(undesirable completion: DualCompletion, in group: ObjectiveGroup) -> Dual {
    -logSigmoid(Dual(shift) - beta * completion.logRatio)
  }

  package func reward(_ completion: ScoredCompletion) -> Double { beta * completion.logRatio }

  package mutating func observe(_ batch: [ObjectiveGroup]) {
    for group in batch { state[0] += group.weight * reward(group.completions[0]) }
    for group in batch { state[1] += group.weight }
  }

  package var metrics: [(name: String, value: Double)] { [("rewards/shift", shift)] }
}

/// Binary classifier optimisation on pairs, without shift (TRL's `bco_pair`): −log σ(β·c) − log σ(−β·r).
package struct BCOPair: PairObjective {
  package static let name = "bco_pair"
  package static let summary = "binary classifier on both sides of a pair, arXiv 2404.04656"
  package static let options = [OptionDescription.beta]
  package let traits = ObjectiveTraits(.pair, needsReference: true)

  private let beta: Double

  package init(options: OptionValues) { beta = options["beta"] }

  func loss(_ chosen: DualCompletion, _ rejected: DualCompletion, in group: ObjectiveGroup) -> Dual {
    -logSigmoid(beta * chosen.logRatio) - logSigmoid(-beta * rejected.logRatio)
  }

  package func reward(_ completion: ScoredCompletion) -> Double { beta * completion.logRatio }
}
