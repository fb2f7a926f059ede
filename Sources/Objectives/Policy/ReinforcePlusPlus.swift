import AlignmentCore

/// REINFORCE++ (Hu 2025, arXiv 2501.03262, eq. 4–6): the return of a token is the sum of the rewards from it on, each with a
/// penalty on the divergence from the reference; advantages are returns normalised over the whole rollout; PPO's clip.
package struct ReinforcePlusPlus: PolicyObjective {
  package static let name = "reinforce++"
  package static let summary = "REINFORCE with token penalties and global normalisation, arXiv 2501.03262"
  package static let options = [
    OptionDescription(
      "kl_coef", default: 0.01, in: 0...1e3, "weight of the divergence from the reference in the reward"),
    OptionDescription("kl_estimator", default: DivergenceEstimator.k1, "estimate of the divergence at a token"),
    OptionDescription("gamma", default: 1, in: 0...1, "discount of later rewards"),
    OptionDescription("epsilon", default: 0.2, in: 0...1, "how far a ratio may leave 1"),
  ]

  private let klWeight: Double
  private let estimator: DivergenceEstimator
  private let gamma: Double
  private let epsilon: Double

  package init(options: OptionValues) {
    klWeight = options["kl_coef"]
    estimator = options.choice("kl_estimator")
    gamma = options["gamma"]
    epsilon = options["epsilon"]
  }

  package var needsReference: Bool { klWeight > 0 }
  package var needsValues: Bool { false }
  package var fewestSamples: Int { 1 }

  package func advantages(of rollout: Rollout) -> Advantages {
    var returns = rollout.tokenRewards(klWeight: klWeight, estimator)
    for range in rollout.tokens {
      for token in range.reversed().dropFirst() { returns[token] += gamma * returns[token + 1] }
    }
    return Advantages(advantages: whitened(returns))
  }

  package func evaluate(_ s: SampleTerms, scale: Double, _ derivatives: SampleDerivatives?) -> PolicyLoss {
    clippedTokenMean(s, epsilon: epsilon, scale: scale, derivatives)
  }
}

/// (x − mean) / standard deviation
func whitened(_ values: [Double]) -> [Double] {
  let moments = Moments(values)
  let scale = 1 / (moments.deviation * moments.deviation + 1e-8).squareRoot()
  return values.map { ($0 - moments.mean) * scale }
}

/// The clipped surrogate as a mean over the batch's tokens.
func clippedTokenMean(
  _ s: SampleTerms, epsilon: Double, scale: Double, _ derivatives: SampleDerivatives?
) -> PolicyLoss {
  var result = PolicyLoss()
  for token in s.policy.indices {
    let logRatio = s.policy[token] - s.old[token]
    let (loss, isClipped) = TokenLoss.clipped(
      logRatio: logRatio, advantage: s.advantages[token], low: 1 - epsilon, high: 1 + epsilon)
    result.loss += s.samplesPerToken * loss.value
    result.clipped += isClipped ? 1 : 0
    result.movement += DivergenceEstimator.k3.value(logRatio)
    if !s.reference.isEmpty {
      result.divergence += TokenLoss.divergence(policy: s.policy[token], reference: s.reference[token]).value
    }
    derivatives?.policy[token] = Float(scale * s.samplesPerToken * loss.slope)
  }
  return result
}
