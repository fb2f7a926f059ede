import AlignmentCore

/// The scores of several reward models as one.
///
/// Reward models that learned from pairs know scores up to an offset for each prompt, so each member's scores are
/// centred on the prompt's responses before they are combined. Therefore all responses to a prompt must be asked about
/// in one call.
package struct PointwiseEnsemble: PointwisePreferenceFunction {
  private let members: [any PointwisePreferenceFunction]
  private let reduction: EnsembleReduction

  package init(_ members: [any PointwisePreferenceFunction], _ reduction: EnsembleReduction) {
    precondition(!members.isEmpty, "an ensemble has members")
    self.members = members
    self.reduction = reduction
  }

  package var identity: String { "\(reduction.name) of (\(members.map(\.identity).joined(separator: "; ")))" }

  /// Abstains where any member does.
  package func judgements(of questions: [JudgedResponse]) throws -> [Judgement] {
    let answers = try members.map { try $0.judgements(of: questions) }
    let groups = Dictionary(grouping: questions.indices) { questions[$0].prompt }.values
    let centred = answers.map { Self.centred($0.map { $0.q == nil ? nil : $0.scores[0] }, groups) }
    return questions.indices.map { question in
      var result = Judgement(q: nil)
      result.raw = answers.flatMap { $0[question].raw }
      result.cost = answers.reduce(JudgementCost()) { $0 + $1[question].cost }
      let scores = centred.compactMap { $0[question] }
      if scores.count == members.count {
        result.scores = [reduction(scores)]
        result.q = PreferenceLogit.probability(result.scores[0])
      }
      return result
    }
  }

  /// Scores less the mean of their group.
  private static func centred(_ scores: [Double?], _ groups: some Sequence<[Int]>) -> [Double?] {
    var result = scores
    for group in groups {
      let mean = group.compactMap { scores[$0] }.mean
      for place in group { result[place] = scores[place].map { $0 - mean } }
    }
    return result
  }
}

/// The preferences of several judges as one, in logits. Caution here is to move towards a tie, from both sides alike:
/// `minimum` takes the least sure member where all agree on the winner, the lower confidence bound draws the mean logit
/// towards 0; neither goes beyond a tie.
package struct PairwiseEnsemble: PairwisePreferenceFunction {
  private let members: [any PairwisePreferenceFunction]
  private let reduction: EnsembleReduction

  package init(_ members: [any PairwisePreferenceFunction], _ reduction: EnsembleReduction) {
    precondition(!members.isEmpty, "an ensemble has members")
    self.members = members
    self.reduction = reduction
  }

  package var identity: String { "\(reduction.name) of (\(members.map(\.identity).joined(separator: "; ")))" }

  /// Abstains where any member does.
  package func judgements(of questions: [Comparison]) throws -> [Judgement] {
    let answers = try members.map { try $0.judgements(of: questions) }
    return questions.indices.map { question in combined(answers.map { $0[question] }) }
  }

  private func combined(_ judgements: [Judgement]) -> Judgement {
    let logits = judgements.compactMap { $0.q.map(PreferenceLogit.logit) }
    var result = Judgement(
      q: nil, raw: judgements.flatMap(\.raw), cost: judgements.reduce(JudgementCost()) { $0 + $1.cost })
    guard logits.count == judgements.count else { return result }
    // Seen from the side that the mean favours, caution is downwards for either winner.
    let side: Double = logits.mean < 0 ? -1 : 1
    result.q = PreferenceLogit.probability(side * max(0, reduction(logits.map { side * $0 })))
    return result
  }
}
