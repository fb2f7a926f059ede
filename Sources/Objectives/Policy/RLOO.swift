import AlignmentCore

/// REINFORCE leave-one-out (Ahmadian et al. 2024, arXiv 2402.14740, eq. 7–8): the advantage of a sample is its reward, less
/// the mean of the others of its prompt; rewards bear a penalty on the divergence from the reference. Samples are single
/// actions, with a clipped ratio where a rollout is used more than once.
package struct RLOO: PolicyObjective {
  package static let name = "rloo"
  package static let summary = "REINFORCE with leave-one-out baseline, arXiv 2402.14740"
  package static let options = [
    OptionDescription("beta", default: 0.05, in: 0...1e3, "weight of the divergence from the reference in the reward"),
    OptionDescription("epsilon", default: 0.2, in: 0...1, "how far a ratio may leave 1"),
  ]

  private let klWeight: Double
  private let epsilon: Double

  package init(options: OptionValues) {
    klWeight = options["beta"]
    epsilon = options["epsilon"]
  }

  package var needsReference: Bool { klWeight > 0 }
  package var needsValues: Bool { false }
  package var fewestSamples: Int { 2 }

  package func advantages(of rollout: Rollout) -> Advantages {
    var advantages = [Double](repeating: 0, count: rollout.rewards.count)
    for group in rollout.groups where group.count > 1 {
      let rewards = group.map { rollout.rewards[$0] - klWeight * rollout.logRatio(ofSample: $0) }
      let sum = rewards.reduce(0, +)
      for (sample, reward) in zip(group, rewards) {
        advantages[sample] = reward - (sum - reward) / Double(group.count - 1)
      }
    }
    return Advantages(advantages: rollout.spread(advantages))
  }

  package func evaluate(_ s: SampleTerms, scale: Double, _ derivatives: SampleDerivatives?) -> PolicyLoss {
    var result = PolicyLoss()
    let logRatio = s.policy.indices.reduce(0) { $0 + s.policy[$1] - s.old[$1] }
    let (loss, isClipped) = TokenLoss.clipped(
      logRatio: logRatio, advantage: s.advantages[0], low: 1 - epsilon, high: 1 + epsilon)
    result.loss = loss.value
    result.clipped = isClipped ? Double(s.policy.count) : 0
    for token in s.policy.indices {
      result.movement += DivergenceEstimator.k3.value(s.policy[token] - s.old[token])
      if !s.reference.isEmpty {
        result.divergence += TokenLoss.divergence(policy: s.policy[token], reference: s.reference[token]).value
      }
      derivatives?.policy[token] = Float(scale * loss.slope)
    }
    return result
  }
}
