import AlignmentCore

/// Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347, eq. 7) of a language model with a critic (Ziegler et
/// al. 2019, arXiv 1909.08593, §2): generalised advantage estimation (Schulman et al. 2016, arXiv 1506.02438, eq. 16) on
/// token rewards with a penalty on the divergence from the reference; clipped values.
package struct PPO: PolicyObjective {
  package static let name = "ppo"
  package static let summary = "clipped surrogate with a critic and token penalties, arXiv 1707.06347"
  package static let options = [
    OptionDescription("kl_coef", default: 0.05, in: 0...1e3, "weight of the divergence from the reference"),
    OptionDescription(
      "kl_estimator", default: DivergenceEstimator.k1, "estimate of the divergence in the reward of a token"),
    OptionDescription(
      "kl_in", default: Place.reward, "where the divergence is penalised: in the reward, or in the loss by k3"),
    OptionDescription("gamma", default: 1, in: 0...1, "discount of later rewards"),
    OptionDescription("lambda", default: 0.95, in: 0...1, "decay of generalised advantage estimation"),
    OptionDescription("cliprange", default: 0.2, in: 0...1, "how far a ratio may leave 1"),
    OptionDescription(
      "cliprange_value", default: 0.2, in: 0...1e6, "how far a value may leave the old one; 0 is no limit"),
    OptionDescription("vf_coef", default: 0.1, in: 0...1e3, "weight of the critic's loss"),
    OptionDescription("whiten_rewards", default: YesOrNo.no, "divide token rewards by their standard deviation"),
  ]

  enum Place: String, CaseIterable {
    case reward
    case loss
  }

  private let klWeight: Double
  private let estimator: DivergenceEstimator
  private let place: Place
  private let gamma: Double
  private let lambda: Double
  private let epsilon: Double
  private let valueClip: Double
  private let valueWeight: Double
  private let whitensRewards: Bool

  package init(options: OptionValues) {
    klWeight = options["kl_coef"]
    estimator = options.choice("kl_estimator")
    place = options.choice("kl_in")
    gamma = options["gamma"]
    lambda = options["lambda"]
    epsilon = options["cliprange"]
    valueClip = options["cliprange_value"]
    valueWeight = options["vf_coef"]
    whitensRewards = options.choice("whiten_rewards") == YesOrNo.yes
  }

  package var needsReference: Bool { klWeight > 0 }
  package var needsValues: Bool { true }
  package var fewestSamples: Int { 1 }

  package func advantages(of rollout: Rollout) -> Advantages {
    var rewards = rollout.tokenRewards(klWeight: place == .reward ? klWeight : 0, estimator)
    if whitensRewards {
      let deviation = Moments(rewards).deviation
      rewards = rewards.map { $0 / (deviation * deviation + 1e-8).squareRoot() }
    }
    var advantages = rewards
    for range in rollout.tokens {
      var (next, later) = (0.0, 0.0)
      for token in range.reversed() {
        let surprise = rewards[token] + gamma * next - rollout.values[token]
        later = surprise + gamma * lambda * later
        (advantages[token], next) = (later, rollout.values[token])
      }
    }
    let returns = zip(advantages, rollout.values).map { $0 + $1 }
    return Advantages(advantages: whitened(advantages), returns: returns)
  }

  package func evaluate(_ s: SampleTerms, scale: Double, _ derivatives: SampleDerivatives?) -> PolicyLoss {
    var result = clippedTokenMean(s, epsilon: epsilon, scale: scale, derivatives)
    for token in s.values.indices {
      let loss = valueLoss(s.values[token], old: s.oldValues[token], target: s.returns[token])
      result.valueLoss += s.samplesPerToken * valueWeight * loss.value
      derivatives?.values[token] = Float(scale * s.samplesPerToken * valueWeight * loss.slope)
    }
    result.loss += result.valueLoss
    guard place == .loss, !s.reference.isEmpty else { return result }
    for token in s.policy.indices {
      let penalty = TokenLoss.divergence(policy: s.policy[token], reference: s.reference[token])
      result.loss += s.samplesPerToken * klWeight * penalty.value
      derivatives?.policy[token] += Float(scale * s.samplesPerToken * klWeight * penalty.slope)
    }
    return result
  }

  /// ½·max((v − R)², (clip(v, v_old ± ε) − R)²)
  private func valueLoss(_ value: Double, old: Double, target: Double) -> TokenLoss {
    let free = TokenLoss(value: (value - target) * (value - target) / 2, slope: value - target)
    guard valueClip > 0 else { return free }
    let bounded = min(max(value, old - valueClip), old + valueClip)
    let held = (bounded - target) * (bounded - target) / 2
    guard held > free.value else { return free }
    return TokenLoss(value: held, slope: 0)
  }
}
