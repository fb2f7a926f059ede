import AlignmentCore

/// A language model that scores single responses: the expectation of its verdict's value (Liu et al. 2023, arXiv
/// 2303.16634, eq. 1; Lee et al. 2023, arXiv 2309.00267), and q its place between the least and the greatest value.
package final class PointwiseJudge: PointwisePreferenceFunction {
  private let inquiry: Inquiry

  /// - Parameters:
  ///   - template: for a single response.
  package init(_ model: any LabellingModel, template: JudgeTemplate, settings: JudgeSettings = JudgeSettings()) {
    precondition(template.subject == .response, "template \(template.name) is for a \(template.subject)")
    inquiry = Inquiry(model, template, settings)
  }

  package var report: JudgeReport { inquiry.report }

  package var identity: String { "judge \(inquiry.identity)" }

  package func judgements(of responses: [JudgedResponse]) throws -> [Judgement] {
    let suspicions = inquiry.suspicions(of: responses.map { ($0.prompt, $0.response) })
    let asked = responses.indices.filter { inquiry.admits(suspicions[$0]) }
    let answers = try inquiry.answers(to: asked.map { question(responses[$0]) })
    var judgements = responses.map { _ in Judgement(q: nil) }
    for (place, answer) in zip(asked, answers) { judgements[place] = judgement(answer) }
    return judgements
  }

  private func question(_ response: JudgedResponse) -> JudgePrompt {
    inquiry.template.prompt(["prompt": ("PROMPT", response.prompt), "response": ("RESPONSE", response.response)])
  }

  private func judgement(_ answer: JudgeAnswer) -> Judgement {
    var result = Judgement(q: nil, raw: answer.texts, cost: answer.cost)
    guard let probabilities = answer.probabilities else { return result }
    let values = inquiry.template.options.map(\.value)
    let score = zip(probabilities, values).reduce(0) { $0 + $1.0 * $1.1 }
    // A template has two values at least.
    let (least, greatest) = (values.min()!, values.max()!)
    result.scores = [score]
    result.q = min(1, max(0, (score - least) / (greatest - least)))
    return result
  }
}
