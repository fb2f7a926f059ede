import AlignmentCore

/// A pair or a response on its way to a label.
struct Proposal {
  /// The place of the group in the list of groups.
  let group: Int
  /// The number of proposals of the group before this one.
  let order: Int
  /// Places among all responses of the group.
  let pair: CandidatePair
  var kind: PseudoLabel.Kind
  /// Nil until it is judged.
  var judgement: Judgement?
  var source = PseudoLabel.Source.scores
  /// Why it was dropped, nil as long as it is not.
  var reason: DropReason?

  /// The texts that the label is about.
  func texts(in groups: [CandidateGroup]) -> [String] {
    [pair.first, pair.second].compactMap { place in place.map { groups[group].texts[$0] } }
  }

  /// How much the scores of the two responses differ; nil without two responses or without scores.
  func gap(in groups: [CandidateGroup]) -> Double? {
    guard let second = pair.second, !groups[group].scores.isEmpty else { return nil }
    return abs(groups[group].scores[pair.first] - groups[group].scores[second])
  }

  /// Length of the winner less that of the loser, in bytes; nil where nobody won.
  func lengthDifference(in groups: [CandidateGroup]) -> Int? {
    guard let q = judgement?.q, q != 0.5, pair.second != nil else { return nil }
    let lengths = texts(in: groups).map(\.utf8.count)
    return (lengths[0] - lengths[1]) * (q > 0.5 ? 1 : -1)
  }

  /// The two responses as a judge sees them.
  func comparison(in groups: [CandidateGroup]) -> Comparison {
    let texts = texts(in: groups)
    return Comparison(prompt: groups[group].prompt, first: texts[0], second: texts[1])
  }

  /// The only response as a judge sees it.
  func response(in groups: [CandidateGroup]) -> JudgedResponse {
    JudgedResponse(prompt: groups[group].prompt, response: groups[group].texts[pair.first])
  }

  /// What a budget goes by; judged by scores before.
  func budgetCandidate(in groups: [CandidateGroup]) -> JudgeBudget.Candidate {
    JudgeBudget.Candidate(prompt: groups[group].number, order: order, confidence: judgement?.confidence ?? 0)
  }

  /// Takes a judge's answer.
  ///
  /// - Throws: ``Fault`` for one that is no probability, or has scores that are not finite.
  mutating func take(_ answer: Judgement, in groups: [CandidateGroup]) throws {
    guard answer.q.map((0...1).contains) ?? true else {
      throw Fault(
        .nonFinite, "the judge's answer \(answer.q ?? .nan) is no probability", at: "prompt \(groups[group].number)",
        hint: "check the judge on this prompt")
    }
    guard answer.scores.allSatisfy(\.isFinite) else {
      throw Fault(
        .nonFinite, "the judge gave the scores \(answer.scores)", at: "prompt \(groups[group].number)",
        hint: "check the judge on this prompt")
    }
    judgement = answer
    source = .judge
  }

  /// Gives up what a ration was not enough for.
  mutating func leaveUnasked() { (judgement, reason) = (nil, .unasked) }

  /// The label, with the better response first.
  ///
  /// - Parameter isHard: Whether q becomes certain.
  func label(in groups: [CandidateGroup], isHard: Bool) -> PseudoLabel {
    guard let judged = judgement, let q = judged.q else { preconditionFailure("a label needs an answer") }
    let isFlipped = pair.second != nil && q < 0.5
    let oriented = isFlipped ? judged.swapped : judged
    let (first, second) = isFlipped ? (pair.second ?? pair.first, pair.first) : (pair.first, pair.second)
    let own = groups[group].scores
    let likelihood = oriented.q ?? q
    let places = [first, second].compactMap(\.self)
    return PseudoLabel(
      kind: kind, source: source, group: group, prompt: groups[group].number, first: first, second: second,
      q: isHard && likelihood != 0.5 ? likelihood.rounded() : likelihood, weight: pair.weight,
      confidence: judged.confidence,
      scores: oriented.scores.isEmpty && !own.isEmpty ? places.map { own[$0] } : oriented.scores,
      positionBias: judged.positionBias)
  }
}
