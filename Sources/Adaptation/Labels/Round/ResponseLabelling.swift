import AlignmentCore

/// Who says whether a response is desirable.
package enum ResponseJudge {
  /// The groups' scores against a threshold, q = σ((r − θ)/τ); nothing is asked.
  case scores(DesirabilityThreshold, ScorePreference)
  /// Answers all responses at once.
  case function(([JudgedResponse]) throws -> [Judgement])
}

/// Makes labelled single responses of candidates, for objectives that need no pairs.
package struct ResponseLabelling: Sendable {
  /// Those that concern pairs are left aside.
  package var filters = LabelFilters()
  /// Whether labels become certain.
  package var isHard = false

  package init() {}

  /// - Throws: ``Fault`` for missing or impossible scores, filters out of range, answers that are no probabilities, and
  ///   what the judge throws.
  package func run(on groups: [CandidateGroup], judge: ResponseJudge) throws -> LabelledRound {
    try filters.validate()
    for group in groups { try group.validate() }
    var proposals = groups.enumerated().flatMap { place, group in
      group.texts.indices.map { Proposal(group: place, order: $0, pair: CandidatePair($0, nil), kind: .response) }
    }
    filters.dropBeforeJudging(&proposals, of: groups)
    switch judge {
    case .scores(let threshold, let preference):
      try label(&proposals, of: groups, by: threshold, preference)
    case .function(let function):
      let open = proposals.indices.filter { proposals[$0].reason == nil }
      let answers = open.isEmpty ? [] : try function(open.map { proposals[$0].response(in: groups) })
      precondition(answers.count == open.count, "\(answers.count) answers to \(open.count) responses")
      for (place, answer) in zip(open, answers) { try proposals[place].take(answer, in: groups) }
    }
    filters.dropAfterJudging(&proposals, of: groups)
    return LabelledRound(proposals, of: groups, isHard: isHard)
  }

  /// The threshold is that of all responses, dropped ones included.
  private func label(
    _ proposals: inout [Proposal], of groups: [CandidateGroup], by threshold: DesirabilityThreshold,
    _ preference: ScorePreference
  ) throws {
    if let group = groups.first(where: { $0.scores.isEmpty && $0.count > 0 }) {
      throw Fault(
        .configuration, "a threshold needs a score for each response", at: "prompt \(group.number)",
        hint: "score the responses with a reward model")
    }
    let judgements = threshold.judgements(of: groups.map(\.scores), temperature: preference.temperature)
    for place in proposals.indices where proposals[place].reason == nil {
      proposals[place].judgement = judgements[proposals[place].group][proposals[place].pair.first]
    }
  }
}
