import AlignmentCore

/// Asks a labelling model by a template, looks at what it is asked about, and keeps count.
final class Inquiry {
  private(set) var report = JudgeReport()
  let settings: JudgeSettings
  let template: JudgeTemplate
  private let model: any LabellingModel

  init(_ model: any LabellingModel, _ template: JudgeTemplate, _ settings: JudgeSettings) {
    self.model = model
    self.template = template
    self.settings = settings
  }

  /// What asks whom, for the identities of judges.
  var identity: String { "\(template.name) (\(template.digest.prefix(12))) of \(model.identity)" }

  /// An answer to each question, in order.
  ///
  /// - Throws: ``Fault`` of kind `data` where too many answers hold no verdict.
  func answers(to questions: [JudgePrompt]) throws -> [JudgeAnswer] {
    if questions.isEmpty { return [] }
    let answers = try model.answers(to: questions)
    precondition(answers.count == questions.count, "\(answers.count) answers to \(questions.count) questions")
    let unreadable = answers.filter { $0.absence == .unreadable }
    report.questions += answers.count
    report.unreadable += unreadable.count
    report.unanswered += answers.count { $0.absence == .unanswered }
    report.unfunded += answers.count { $0.absence == .unfunded }
    try checkReadability(unreadable, of: answers.count { $0.absence == nil || $0.absence == .unreadable })
    return answers
  }

  private func checkReadability(_ unreadable: [JudgeAnswer], of count: Int) throws {
    let limit = settings.unreadableLimit
    guard Double(unreadable.count) > (limit == 0 ? 0 : max(1, limit * Double(count))) else { return }
    let example = unreadable.lazy.flatMap(\.texts).first.map { ", the first of them \"\($0.excerpt(100))\"" } ?? ""
    throw Fault(
      .data, "\(unreadable.count) of \(count) answers of the judge hold no verdict\(example)", at: identity,
      hint: template.givesReasons
        ? "reasons take some hundred tokens (api.max_tokens); or change the template or the model"
        : "change the template or the model, or raise judge.unreadable_limit")
  }

  /// What is suspicious about each of these responses to prompts.
  func suspicions(of responses: [(prompt: String, response: String)]) -> [Suspicion] {
    let constant = ConstantResponses(responses)
    let found = responses.map { Suspicion(of: $0.response).union(constant.contains($0.response) ? .constant : []) }
    report.responses += responses.count
    report.withMarkers += found.count { $0.contains(.markers) }
    report.withInstructions += found.count { $0.contains(.instructions) }
    report.constant += found.count { $0.contains(.constant) }
    for (text, prompts) in constant.texts.prefix(10) { report.constantTexts[text.excerpt(100)] = prompts }
    return found
  }

  /// Whether a response with these signs is to be judged.
  func admits(_ suspicion: Suspicion) -> Bool { suspicion.isEmpty || settings.suspects == .report }
}
