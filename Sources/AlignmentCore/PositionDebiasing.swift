/// Makes one judgement of two: the responses were shown in both orders, and the part of the answers that follows the order is
/// taken out.
///
/// With ℓ_AB and ℓ_BA the logits of what is shown first, preference and bias are s = ½(ℓ_AB − ℓ_BA) and b = ½(ℓ_AB + ℓ_BA).
package struct PositionDebiasing: Sendable, Equatable {
  /// What is made of the two answers.
  package enum Rule: String, Sendable, CaseIterable {
    /// σ(s/τ): the bias is taken to be additive in the logit.
    case logits
    /// The mean probability over both orders (RLAIF, Lee et al. 2023, arXiv 2309.00267, "Addressing position bias").
    case probabilities
    /// The winner of both orders, certain; for judges that write a verdict and give no probabilities.
    case verdicts
  }

  /// What becomes of verdicts that contradict each other.
  package enum Contradiction: String, Sendable, CaseIterable {
    case tie
    case abstain
  }

  package var rule: Rule
  /// τ of `logits`; above 1 softens.
  package var temperature: Double
  /// Used by `verdicts`; the other rules weigh the two answers against each other.
  package var contradiction: Contradiction

  package init(rule: Rule = .logits, temperature: Double = 1, contradiction: Contradiction = .tie) {
    precondition(temperature > 0, "temperature \(temperature)")
    self.rule = rule
    self.temperature = temperature
    self.contradiction = contradiction
  }

  /// The judgement of responses A and B; abstains where either answer is missing.
  ///
  /// - Parameters:
  ///   - forward: of A shown before B.
  ///   - backward: of B shown before A; its q is the probability that B is better.
  package func judgement(_ forward: Judgement, _ backward: Judgement) -> Judgement {
    var result = Judgement(q: nil, raw: forward.raw + backward.raw, cost: forward.cost + backward.cost)
    if forward.scores.count == 2, backward.scores.count == 2 {
      result.scores = zip(forward.scores, backward.scores.reversed()).map { ($0 + $1) / 2 }
    }
    guard let q = forward.q, let swapped = backward.q else { return result }
    let logits = (PreferenceLogit.logit(q), PreferenceLogit.logit(swapped))
    result.isConsistent = (q - 0.5).signum == (0.5 - swapped).signum
    switch rule {
    case .logits:
      result.q = self.q(logits.0, logits.1)
    case .probabilities:
      result.q = PreferenceLogit.mirrored((q - swapped) / 2) { 0.5 + $0 }
    case .verdicts:
      if result.isConsistent == true {
        result.q = 0.5 + 0.5 * (q - 0.5).signum
      } else {
        result.q = contradiction == .tie ? 0.5 : nil
      }
    }
    // A verdict without a probability has no logit that a bias could be part of.
    if rule != .verdicts { result.positionBias = (logits.0 + logits.1) / 2 }
    return result
  }

  /// σ(s/τ) of the logits of what is shown first, with A before B and with B before A.
  package func q(_ forward: Double, _ backward: Double) -> Double {
    let bounded = (forward.bounded, backward.bounded)
    return PreferenceLogit.probability((bounded.0 - bounded.1) / (2 * temperature))
  }
}

extension Double {
  /// −1, 0 or 1.
  fileprivate var signum: Double { self > 0 ? 1 : self < 0 ? -1 : 0 }
  fileprivate var bounded: Double { Swift.min(PreferenceLogit.bound, Swift.max(-PreferenceLogit.bound, self)) }
}

/// Asks a judge about each comparison in both orders.
package struct DebiasedPreference<Inner: PairwisePreferenceFunction>: PairwisePreferenceFunction {
  /// Answers for the order in which it is shown the responses.
  package let inner: Inner
  package let debiasing: PositionDebiasing

  package init(_ inner: Inner, _ debiasing: PositionDebiasing) {
    self.inner = inner
    self.debiasing = debiasing
  }

  package var identity: String { "\(inner.identity), both orders by \(debiasing.rule.rawValue)" }

  package func judgements(of questions: [Comparison]) throws -> [Judgement] {
    let answers = try inner.judgements(of: questions + questions.map(\.swapped))
    return questions.indices.map { debiasing.judgement(answers[$0], answers[questions.count + $0]) }
  }
}
