import AlignmentCore

/// The Bradley–Terry preference between two scores: q = σ((r₁ − r₂)/τ).
package struct ScorePreference: Sendable, Equatable {
  /// τ, in units of the score.
  package let temperature: Double

  /// - Throws: ``Fault`` for a temperature that is not positive.
  package init(temperature: Double = 1) throws {
    guard temperature > 0, temperature.isFinite else {
      throw Fault(
        .configuration, "temperature \(temperature)", at: "labels.temperature", hint: "a temperature is above 0")
    }
    self.temperature = temperature
  }

  /// - Throws: ``Fault`` for scores that are no finite numbers.
  package func judgement(_ first: Double, _ second: Double) throws -> Judgement {
    guard (first - second).isFinite else {
      throw Fault(
        .nonFinite, "scores \(first) and \(second) cannot be compared", hint: "check the reward model that gave them")
    }
    return Judgement(q: PreferenceLogit.probability((first - second) / temperature), scores: [first, second])
  }
}

/// Compares responses by the scores that a pointwise function gives them; each response is scored once.
package struct ComparedScores<Inner: PointwisePreferenceFunction>: PairwisePreferenceFunction {
  package let inner: Inner
  package let preference: ScorePreference

  package init(_ inner: Inner, _ preference: ScorePreference) {
    self.inner = inner
    self.preference = preference
  }

  package var identity: String { "\(inner.identity), compared at temperature \(preference.temperature)" }

  package func judgements(of questions: [Comparison]) throws -> [Judgement] {
    let responses = questions.flatMap {
      [JudgedResponse(prompt: $0.prompt, response: $0.first), JudgedResponse(prompt: $0.prompt, response: $0.second)]
    }
    let distinct = DistinctQuestions(responses)
    let judged = distinct.spread(try inner.judgements(of: distinct.questions))
    return try questions.indices.map { index in
      let (first, second) = (judged[2 * index], judged[2 * index + 1])
      var result = Judgement(q: nil)
      if first.q != nil, second.q != nil { result = try preference.judgement(first.scores[0], second.scores[0]) }
      result.raw = first.raw + second.raw
      result.cost = first.cost + second.cost
      return result
    }
  }
}
