/// What is known of the samples of a rollout before the policy is updated: numbers for each sample, and for each of its
/// tokens. The samples of a prompt lie next to each other, and so do the tokens of a sample.
package struct Rollout: Sendable {
  /// Samples of each prompt.
  package var groups: [Range<Int>] = []
  /// Tokens of each sample.
  package var tokens: [Range<Int>] = []
  /// Reward of each sample.
  package var rewards: [Double] = []
  /// log π(token) of each token under the policy that drew it, in nats.
  package var old: [Double] = []
  /// The same under the reference; empty where no objective asks for it.
  package var reference: [Double] = []
  /// Value of the state before each token; empty without a critic.
  package var values: [Double] = []

  package init() {}

  /// Σ over a sample's tokens of log π_old − log π_ref: an estimate of the divergence of its policy.
  func logRatio(ofSample sample: Int) -> Double {
    guard !reference.isEmpty else { return 0 }
    return tokens[sample].reduce(0) { $0 + old[$1] - reference[$1] }
  }
}

/// What a policy is to learn from a rollout.
package struct Advantages: Sendable, Equatable {
  /// Advantage of each token.
  package var advantages: [Double]
  /// What the value of the state before each token should have been; empty without a critic.
  package var returns: [Double] = []

  package init(advantages: [Double], returns: [Double] = []) {
    self.advantages = advantages
    self.returns = returns
  }
}

/// One sample while the policy is updated: views of its tokens.
package struct SampleTerms {
  package typealias Numbers = UnsafeBufferPointer<Double>
  /// log π(token) under the current policy.
  package let policy: Numbers
  /// The same when the sample was drawn.
  package let old: Numbers
  /// The same under the reference; empty without one.
  package let reference: Numbers
  package let advantages: Numbers
  /// Values now and when the sample was drawn, and what they should have been; empty without a critic.
  package let values: Numbers
  package let oldValues: Numbers
  package let returns: Numbers
  /// Samples of the batch divided by its tokens: turns a sum over tokens into the batch's token mean.
  package let samplesPerToken: Double
  /// Most tokens that a sample may have.
  package let maximumLength: Int

  package init(
    policy: Numbers, old: Numbers, reference: Numbers, advantages: Numbers, values: Numbers, oldValues: Numbers,
    returns: Numbers, samplesPerToken: Double, maximumLength: Int
  ) {
    self.policy = policy
    self.old = old
    self.reference = reference
    self.advantages = advantages
    self.values = values
    self.oldValues = oldValues
    self.returns = returns
    self.samplesPerToken = samplesPerToken
    self.maximumLength = maximumLength
  }
}

/// The loss of one sample and what is worth knowing about it, summed over its tokens.
package struct PolicyLoss: Sendable, Equatable {
  package var loss = 0.0
  /// The critic's share of the loss.
  package var valueLoss = 0.0
  /// Tokens whose ratio was clipped.
  package var clipped = 0.0
  /// Σ (e^−ρ − 1 + ρ), ρ = log π − log π_old: the k3 estimate of how far the policy has moved (Schulman 2020, "Approximating
  /// KL divergence").
  package var movement = 0.0
  /// The same estimate of the divergence from the reference.
  package var divergence = 0.0

  package init() {}
}

/// Where a loss writes its derivatives: one number for each token of a sample.
package struct SampleDerivatives {
  package let policy: UnsafeMutableBufferPointer<Float>
  /// Empty without a critic.
  package let values: UnsafeMutableBufferPointer<Float>

  package init(policy: UnsafeMutableBufferPointer<Float>, values: UnsafeMutableBufferPointer<Float>) {
    self.policy = policy
    self.values = values
  }
}
