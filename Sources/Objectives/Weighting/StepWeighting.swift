import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// What the tokens of a completion add up to, as they are: no modifier of the objective has touched them.
package struct TokenSums: Sendable, Equatable {
  /// log π(y|x) under the policy of the step, in nats.
  package var policy: Double
  /// The same under the reference; 0 where the weighting needs none.
  package var reference: Double
  /// The entropies of the distributions that the tokens are predicted from; 0 where the weighting needs none.
  package var entropy: Double
  /// Tokens, end of sequence included.
  package var tokens: Int

  package init(policy: Double, reference: Double = 0, entropy: Double = 0, tokens: Int) {
    self.policy = policy
    self.reference = reference
    self.entropy = entropy
    self.tokens = tokens
  }
}

/// A factor on the loss of each example that the policy of the step itself determines.
///
/// It multiplies the weight of the data, and is a constant to the derivative. The logarithm of a group's factor is the sum
/// of what its completions add, up to a bound: the factor of a pair is a product over both completions.
package protocol StepWeighting: Sendable {
  /// Name in recipes.
  static var name: String { get }
  /// One line for `adalign list`, with the paper.
  static var summary: String { get }
  static var options: [OptionDescription] { get }

  init(options: OptionValues)

  /// The entropy that must be known of each token's distribution, if any.
  var entropyOrder: RenyiOrder? { get }
  var needsReference: Bool { get }

  /// What a completion adds to the logarithm of its group's weight.
  func logWeight(of completion: TokenSums) -> Double

  /// What the logarithm of the weight of a group with so many completions is cut at.
  func largestLogWeight(completions: Int) -> Double
}

extension StepWeighting {
  package var entropyOrder: RenyiOrder? { nil }
  package var needsReference: Bool { false }

  /// The weight of a group whose completions add up to `logWeight`; what is not a number stays so.
  package func weight(_ logWeight: Double, completions: Int) -> Double {
    exp(min(logWeight, largestLogWeight(completions: completions)))
  }
}

extension StepWeighting {
  /// Refuses objectives that have no preferences, no token log-probabilities, or no loss for each example on its own.
  func check(_ traits: ObjectiveTraits) throws {
    let refusal = { (what: String, hint: String) in
      Fault(.configuration, what, at: "objective.weighting", hint: hint)
    }
    guard traits.output == .logProbability else {
      throw refusal("reward models have no token log-probabilities", "leave it out")
    }
    guard [.pair, .labelled].contains(traits.groupKind) else {
      throw refusal("needs an objective on pairs or labels", "use it with dpo")
    }
    guard traits.survey != .own else {
      throw refusal("needs an objective whose examples have losses of their own", "use it with dpo")
    }
    guard !needsReference || traits.needsReference else {
      throw refusal("\(Self.name) needs an objective with a reference", "use it with dpo or ipo, or use wpo")
    }
  }
}
