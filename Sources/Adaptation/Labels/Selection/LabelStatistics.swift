import AlignmentCore

/// What became of the candidates of a round of labelling.
package struct LabelStatistics: Sendable, Equatable {
  package var groups = 0
  package var responses = 0
  /// Pairs, or single responses, that might have become labels: `kept` and all `dropped`.
  package var proposed = 0
  package var kept = 0
  /// Dropped under each reason; those that dropped nothing are left out.
  package var dropped: [DropReason: Int] = [:]
  /// Proposals that the judge answered, and that were labelled by their scores.
  package var judged = 0
  package var scored = 0
  /// What the judge said, dropped pairs included.
  package var judge: JudgementSummary
  /// Mean of |2q − 1| over the labels that were kept; nil for none.
  package var meanConfidence: Double?
  /// Share of the pairs kept in which the longer response won, of those that differ in length and have a winner.
  package var longerWins: Double?
  /// Texts to be looked at.
  package var reusedAnswers: [AnswerReuse] = []

  init(_ proposals: [Proposal], of groups: [CandidateGroup]) {
    self.groups = groups.count
    responses = groups.reduce(0) { $0 + $1.count }
    proposed = proposals.count
    let survivors = proposals.filter { $0.reason == nil }
    kept = survivors.count
    dropped = Dictionary(grouping: proposals.compactMap(\.reason)) { $0 }.mapValues(\.count)
    let answers = proposals.filter { $0.source == .judge }.compactMap(\.judgement)
    judged = answers.count
    scored = proposals.count { $0.source == .scores && $0.judgement != nil && $0.kind != .imitation }
    judge = JudgementSummary(answers)
    meanConfidence = survivors.filter { $0.kind != .imitation }.compactMap { $0.judgement?.confidence }.meanOfAny
    let differences = survivors.compactMap { $0.lengthDifference(in: groups) }.filter { $0 != 0 }
    longerWins = differences.map { $0 > 0 ? 1 : 0 }.meanOfAny
    reusedAnswers = AnswerReuse.found(in: groups, proposals)
  }
}
