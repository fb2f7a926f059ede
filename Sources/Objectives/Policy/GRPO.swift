import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// Group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300, eq. 3): the advantage of a sample is its reward
/// less the mean of its group, divided by the group's standard deviation; a clipped surrogate on tokens (or sequences: GSPO,
/// Zheng et al. 2025, arXiv 2507.18071, eq. 5) and a k3 penalty on the divergence from the reference.
package struct GRPO: PolicyObjective {
  /// What is done with a token's ratio and how tokens are averaged.
  package enum Kind: String, CaseIterable, Sendable {
    /// Mean over the batch's tokens (Yu et al. 2025, arXiv 2503.14476, eq. 8).
    case dapo
    /// Mean over each sample's tokens, then over samples.
    case grpo
    /// Sum over tokens divided by the greatest length (Liu et al. 2025, arXiv 2503.20783, §3.2).
    case drGRPO = "dr_grpo"
    /// The ratio as a constant weight, bounded above; mean over the batch's tokens (MiniMax 2025, arXiv 2506.13585, eq. 4–5).
    case cispo
    /// A soft gate instead of the clip; mean over each sample's tokens, then over samples (Gao et al. 2025, arXiv
    /// 2511.20347, eq. 5–6).
    case sapo
    /// Sum over tokens, then mean over samples (LUSPO, arXiv 2602.05261).
    case luspo
  }

  package enum Level: String, CaseIterable, Sendable {
    case token
    case sequence
  }

  package enum Scaling: String, CaseIterable, Sendable {
    case group
    case batch
    case none
  }

  package static let name = "grpo"
  package static let summary =
    "group-relative advantages, clipped, arXiv 2402.03300; DAPO, Dr. GRPO, CISPO, SAPO by loss_type, GSPO by importance_level"
  package static let options = [
    OptionDescription("beta", default: 0, in: 0...1e3, "weight of the divergence from the reference in the loss"),
    OptionDescription("epsilon", default: 0.2, in: 0...1, "how far a ratio may fall below 1"),
    OptionDescription(
      "epsilon_high", default: 0.2, in: 0...1e3, "how far a ratio may rise above 1; CISPO uses about 4"),
    OptionDescription("delta", default: 0, in: 0...1e3, "upper bound of ratios with negative advantage; 0 is none"),
    OptionDescription("loss_type", default: Kind.dapo, "how tokens are clipped and averaged"),
    OptionDescription("importance_level", default: Level.token, "ratios of tokens, or of whole samples (GSPO)"),
    OptionDescription("scale_rewards", default: Scaling.group, "standard deviation that advantages are divided by"),
  ]

  private let klWeight: Double
  private let epsilon: Double
  private let epsilonHigh: Double
  private let delta: Double
  private let kind: Kind
  private let level: Level
  private let scaling: Scaling

  package init(options: OptionValues) {
    klWeight = options["beta"]
    epsilon = options["epsilon"]
    epsilonHigh = options["epsilon_high"]
    delta = options["delta"]
    kind = options.choice("loss_type")
    level = options.choice("importance_level")
    scaling = options.choice("scale_rewards")
  }

  package var needsReference: Bool { klWeight > 0 }
  package var needsValues: Bool { false }
  package var fewestSamples: Int { 2 }

  /// Added to a standard deviation, so that a group of equal rewards has advantages of 0.
  private static let smallestDeviation = 1e-4

  package func advantages(of rollout: Rollout) -> Advantages {
    var advantages = [Double](repeating: 0, count: rollout.rewards.count)
    let batch = Moments(rollout.rewards)
    for group in rollout.groups {
      let own = Moments(rollout.rewards[group])
      let scale: Double
      switch scaling {
      case .group: scale = own.sampleDeviation + Self.smallestDeviation
      case .batch: scale = batch.sampleDeviation + Self.smallestDeviation
      case .none: scale = 1
      }
      for sample in group { advantages[sample] = (rollout.rewards[sample] - own.mean) / scale }
    }
    return Advantages(advantages: rollout.spread(advantages))
  }

  package func evaluate(_ s: SampleTerms, scale: Double, _ derivatives: SampleDerivatives?) -> PolicyLoss {
    var result = PolicyLoss()
    let count = Double(s.policy.count)
    let factor = weight(s)
    let mean = level == .sequence ? (0..<s.policy.count).reduce(0) { $0 + s.policy[$1] - s.old[$1] } / count : 0
    for token in s.policy.indices {
      let logRatio = level == .sequence ? mean : s.policy[token] - s.old[token]
      var loss = surrogate(logRatio, s.advantages[token], policy: s.policy[token], &result.clipped)
      // The derivative of a sample's mean log-ratio is spread over its tokens; with one advantage for all of them each
      // token's share is the whole of one token's.
      if !s.reference.isEmpty {
        let penalty = TokenLoss.divergence(policy: s.policy[token], reference: s.reference[token])
        result.divergence += penalty.value
        loss.value += klWeight * penalty.value
        loss.slope += klWeight * penalty.slope
      }
      result.movement += DivergenceEstimator.k3.value(s.policy[token] - s.old[token])
      result.loss += factor * loss.value
      derivatives?.policy[token] = Float(scale * factor * loss.slope)
    }
    return result
  }

  /// What a token's loss is multiplied by.
  private func weight(_ s: SampleTerms) -> Double {
    switch kind {
    case .dapo, .cispo: s.samplesPerToken
    case .grpo, .sapo: 1 / Double(s.policy.count)
    case .drGRPO: 1 / Double(s.maximumLength)
    case .luspo: 1
    }
  }

  private func surrogate(_ logRatio: Double, _ advantage: Double, policy: Double, _ clipped: inout Double) -> TokenLoss
  {
    switch kind {
    case .cispo:
      let ratio = exp(min(logRatio, 80))
      let bounded = min(ratio, 1 + epsilonHigh)
      clipped += bounded < ratio ? 1 : 0
      return TokenLoss(value: -bounded * advantage * policy, slope: -bounded * advantage)
    case .sapo:
      // Wider where the advantage is positive.
      let tau = advantage > 0 ? 1 : 1.05
      let ratio = exp(min(logRatio, 80))
      let gate = logistic(tau * (ratio - 1))
      let slope = -advantage * 4 * gate * logistic(-tau * (ratio - 1)) * ratio
      return TokenLoss(value: -advantage * gate * 4 / tau, slope: slope)
    case .dapo, .grpo, .drGRPO, .luspo:
      if delta > 0, advantage < 0, exp(min(logRatio, 80)) > delta {
        clipped += 1
        return TokenLoss(value: -advantage * delta, slope: 0)
      }
      let (loss, isClipped) = TokenLoss.clipped(
        logRatio: logRatio, advantage: advantage, low: 1 - epsilon, high: 1 + epsilonHigh)
      clipped += isClipped ? 1 : 0
      return loss
    }
  }
}
