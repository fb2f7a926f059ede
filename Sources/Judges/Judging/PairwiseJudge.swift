import AlignmentCore

/// A language model that says which of two responses is better.
///
/// In both orders, the default, the part of its answers that follows the order is taken out (``PositionDebiasing``), and
/// q(A, B) is 1 − q(B, A) to the last bit. Equal responses are a tie that costs nothing.
package final class PairwiseJudge: PairwisePreferenceFunction {
  private let inquiry: Inquiry

  /// - Parameters:
  ///   - template: for a pair.
  package init(_ model: any LabellingModel, template: JudgeTemplate, settings: JudgeSettings = JudgeSettings()) {
    precondition(template.subject == .pair, "template \(template.name) is for a \(template.subject)")
    inquiry = Inquiry(model, template, settings)
  }

  package var report: JudgeReport { inquiry.report }

  package var identity: String {
    let debiasing = inquiry.settings.debiasing
    let orders =
      inquiry.settings.asksBothOrders
      ? "both orders by \(debiasing.rule.rawValue), temperature \(debiasing.temperature)" : "one order"
    return "judge \(inquiry.identity), \(orders)"
  }

  package func judgements(of comparisons: [Comparison]) throws -> [Judgement] {
    let suspicions = inquiry.suspicions(of: comparisons.flatMap { [($0.prompt, $0.first), ($0.prompt, $0.second)] })
    var judgements = comparisons.map { Judgement(q: $0.first == $0.second ? 0.5 : nil) }
    let asked = comparisons.indices.filter { place in
      judgements[place].q == nil && suspicions[2 * place...2 * place + 1].allSatisfy(inquiry.admits)
    }
    let found = try judge(asked.map { comparisons[$0] })
    for (place, judgement) in zip(asked, found) { judgements[place] = judgement }
    return judgements
  }

  private func judge(_ comparisons: [Comparison]) throws -> [Judgement] {
    guard inquiry.settings.asksBothOrders else {
      return try inquiry.answers(to: comparisons.map(question)).map(Self.judgement)
    }
    let answers = try inquiry.answers(to: comparisons.flatMap { [question($0), question($0.swapped)] })
    return comparisons.indices.map { debiased(answers[2 * $0], answers[2 * $0 + 1]) }
  }

  private func question(_ comparison: Comparison) -> JudgePrompt {
    inquiry.template.prompt([
      "prompt": ("PROMPT", comparison.prompt), "first": ("RESPONSE A", comparison.first),
      "second": ("RESPONSE B", comparison.second),
    ])
  }

  private func debiased(_ forward: JudgeAnswer, _ backward: JudgeAnswer) -> Judgement {
    let (first, second) = (Self.judgement(forward), Self.judgement(backward))
    guard forward.evidence == .votes || backward.evidence == .votes else {
      return inquiry.settings.debiasing.judgement(first, second)
    }
    // Shares of votes can be 0 and 1, whose logits say nothing of how sure the model is.
    var judgement = PositionDebiasing(rule: .probabilities).judgement(first, second)
    judgement.positionBias = nil
    return judgement
  }

  private static func judgement(_ answer: JudgeAnswer) -> Judgement {
    Judgement(q: answer.probabilities?[0], raw: answer.texts, cost: answer.cost)
  }
}
