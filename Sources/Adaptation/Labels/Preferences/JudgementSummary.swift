import AlignmentCore

/// What a set of judgements has in common.
package struct JudgementSummary: Sendable, Equatable {
  package private(set) var count = 0
  package private(set) var abstentions = 0
  /// Mean of |2q − 1| over those that do not abstain; nil for none.
  package private(set) var meanConfidence: Double?
  /// Share with the same winner in both orders, of those that were asked in both and answered; nil for none.
  package private(set) var consistency: Double?
  /// Mean part of the logit that favours what is shown first, in nats; nil where none is known.
  package private(set) var meanPositionBias: Double?
  package private(set) var cost = JudgementCost()

  package init(_ judgements: some Collection<Judgement>) {
    count = judgements.count
    abstentions = judgements.count { $0.q == nil }
    meanConfidence = judgements.filter { $0.q != nil }.map(\.confidence).meanOfAny
    consistency = judgements.compactMap(\.isConsistent).map { $0 ? 1 : 0 }.meanOfAny
    meanPositionBias = judgements.compactMap(\.positionBias).meanOfAny
    cost = judgements.reduce(JudgementCost()) { $0 + $1.cost }
  }

  /// Estimated probability that one order's verdict is flipped, from the agreement of the two.
  package var flipRate: Double? { consistency.map(LabelNoise.flipRate) }
}

extension [Double] {
  /// Nil for none.
  var meanOfAny: Double? { isEmpty ? nil : mean }
}
