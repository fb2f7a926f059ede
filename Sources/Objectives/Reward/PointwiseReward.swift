import AlignmentCore

/// A reward model that predicts the score in the data: (s − y)².
package struct RewardRegression: Objective {
  package static let name = "regression"
  package static let summary = "reward model that predicts each row's score, mean squared error"
  package static let options: [OptionDescription] = []
  package let traits = ObjectiveTraits(.scored, needsReference: false, output: .score)

  package init(options: OptionValues) {}

  package func loss(of group: ObjectiveGroup) -> Dual {
    (DualCompletion(group.completions[0], index: 0).policy - Dual(group.margin)).squared
  }

  package func reward(_ completion: ScoredCompletion) -> Double { completion.policy }
}

/// A reward model that predicts whether a completion is desirable: −log σ(s), or −log σ(−s) for an undesirable one.
package struct RewardClassification: LabelledObjective {
  package static let name = "classification"
  package static let summary = "reward model that tells desirable from undesirable completions, cross-entropy"
  package static let options: [OptionDescription] = []
  package let traits = ObjectiveTraits(.labelled, needsReference: false, output: .score)

  package init(options: OptionValues) {}

  func loss(desirable completion: DualCompletion, in group: ObjectiveGroup) -> Dual { -logSigmoid(completion.policy) }

  func loss(undesirable completion: DualCompletion, in group: ObjectiveGroup) -> Dual {
    -logSigmoid(-completion.policy)
  }

  package func reward(_ completion: ScoredCompletion) -> Double { completion.policy }
}
