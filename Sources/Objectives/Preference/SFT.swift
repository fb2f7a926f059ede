import AlignmentCore

/// Supervised fine-tuning: the negative log-likelihood of the good completion, by default the mean over the batch's tokens.
///
/// Nothing is learned from a completion that is not good. In a pair, as part of a mixture, either completion is the good one
/// with the probability that the label gives it.
package struct SFT: Objective {
  package static let name = "sft"
  package static let summary = "negative log-likelihood of the chosen completion"
  package static let options = [
    OptionDescription("average", default: LikelihoodMean.tokens, LikelihoodMean.meaning)
  ]
  package let traits = ObjectiveTraits(.preferred, needsReference: false)

  private let mean: LikelihoodMean

  package init(options: OptionValues) { mean = options.choice("average") }

  package func loss(of group: ObjectiveGroup) -> Dual {
    let isPair = group.completions.count > 1
    let p = isPair || group.isDesirable ? group.softLabel : 1 - group.softLabel
    let first = p * mean.negativeLogLikelihood(DualCompletion(group.completions[0], index: 0), in: group)
    guard isPair, p < 1 else { return first }
    return first + (1 - p) * mean.negativeLogLikelihood(DualCompletion(group.completions[1], index: 1), in: group)
  }

  package func reward(_ completion: ScoredCompletion) -> Double { completion.policy }
}

/// Conditional supervised fine-tuning: good and bad completions, each behind a prompt that ends with a control token for
/// its label (Korbak et al. 2023, arXiv 2302.08582, §2, eq. 4), so that a sampled completion can be asked to be good.
package struct ConditionalSFT: Objective {
  package static let name = "csft"
  package static let summary = "likelihood of good and bad completions behind control tokens, arXiv 2302.08582"
  package static let options = SFT.options
  package let traits = ObjectiveTraits(.conditioned, needsReference: false)

  private let mean: LikelihoodMean

  package init(options: OptionValues) { mean = options.choice("average") }

  package func loss(of group: ObjectiveGroup) -> Dual {
    mean.negativeLogLikelihood(DualCompletion(group.completions[0], index: 0), in: group)
  }

  package func reward(_ completion: ScoredCompletion) -> Double { completion.policy }
}

/// What negative log-likelihoods are averaged over.
enum LikelihoodMean: String, CaseIterable {
  /// All tokens of the batch.
  case tokens
  /// The tokens of each completion, then the completions.
  case sequences
  /// Completions only; tokens are summed.
  case sum

  static let meaning = "likelihood as a mean over the batch's tokens, over each completion's tokens, or as sums"

  func negativeLogLikelihood(_ completion: DualCompletion, in group: ObjectiveGroup) -> Dual {
    switch self {
    case .tokens: -group.examplesPerToken * completion.policy
    case .sequences: -completion.average
    case .sum: -completion.policy
    }
  }
}
