import AlignmentCore

/// Odds-ratio preference optimisation (Hong et al. 2024, arXiv 2403.07691, eq. 6–7): the negative log-likelihood of the
/// chosen completion, and −β·log σ of the log odds ratio, with p = e^(log-probability per token).
package struct ORPO: PairObjective {
  package static let name = "orpo"
  package static let summary = "likelihood of the chosen and odds ratio, arXiv 2403.07691"
  package static let options = [
    OptionDescription("beta", default: 0.1, in: 0...1e3, "weight of the odds ratio (lambda in the paper)"),
    OptionDescription("average", default: LikelihoodMean.tokens, LikelihoodMean.meaning),
  ]
  package let traits = ObjectiveTraits(.pair, needsReference: false)

  private let beta: Double
  private let mean: LikelihoodMean

  package init(options: OptionValues) {
    beta = options["beta"]
    mean = options.choice("average")
  }

  func loss(_ chosen: DualCompletion, _ rejected: DualCompletion, in group: ObjectiveGroup) -> Dual {
    let logOdds =
      chosen.average - rejected.average - logOneMinusExp(chosen.average) + logOneMinusExp(rejected.average)
    return mean.negativeLogLikelihood(chosen, in: group) - beta * logSigmoid(logOdds)
  }

  package func reward(_ completion: ScoredCompletion) -> Double { beta * completion.policy / Double(completion.tokens) }
}
