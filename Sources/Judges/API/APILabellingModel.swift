import AlignmentCore
import Checkpoints

/// A labelling model behind an OpenAI-compatible API. Every paid answer is in a store before it is used, and an answer
/// that is in the store is never paid for again.
///
/// For one process of a run; the others are told its answers.
package final class APILabellingModel: LabellingModel {
  package let identity: String
  /// What became of the questions so far.
  package private(set) var report = LabellingReport()
  private let settings: APISettings
  private let key: APIKey
  private let store: AnswerStore
  private let ledger: Ledger
  private let waiting: Waiting
  private let onProgress: @Sendable (_ done: Int, _ of: Int) -> Void

  /// - Parameters:
  ///   - onProgress: called from several threads whenever a question is done.
  /// - Throws: ``Fault`` for settings that cannot be, a key that is missing, or a store that cannot be opened. Nothing
  ///   is sent.
  package init(
    settings: APISettings, waiting: Waiting = .system(),
    onProgress: @escaping @Sendable (_ done: Int, _ of: Int) -> Void = { _, _ in }
  ) throws {
    try settings.validate()
    self.settings = settings
    self.waiting = waiting
    self.onProgress = onProgress
    identity = settings.identity
    key = try APIKey(variable: settings.keyVariable)
    store = try AnswerStore(path: settings.storePath)
    ledger = Ledger(store: store, budget: settings.budget, time: waiting.timestamp)
  }

  /// Looks at settings and key; nothing is opened or sent.
  ///
  /// - Throws: ``Fault`` as ``init(settings:waiting:onProgress:)`` does but for the store.
  package static func check(_ settings: APISettings) throws {
    try settings.validate()
    _ = try APIKey(variable: settings.keyVariable)
  }

  /// An answer to each prompt, in order. Where the budget is used up, and where the server fails within
  /// `settings.unansweredLimit`, an answer has no probabilities.
  ///
  /// - Throws: ``Fault`` of kind `environment` where the server fails beyond that or for good, `interrupted` where a stop
  ///   was asked for. Answers until then are in the store.
  package func answers(to prompts: [JudgePrompt]) throws -> [JudgeAnswer] {
    var places: [JudgePrompt: Int] = [:]
    var questions: [JudgePrompt] = []
    for prompt in prompts where places[prompt] == nil {
      places[prompt] = questions.count
      questions.append(prompt)
    }
    let answered = try ask(questions)
    // Every prompt has a place: the loop above gave it one.
    return prompts.map { answered[places[$0]!] }
  }

  private func ask(_ questions: [JudgePrompt]) throws -> [JudgeAnswer] {
    let board = QuestionBoard(
      questions, mostUnanswered: Int(settings.unansweredLimit * Double(questions.count)), onProgress: onProgress)
    let (settings, key, store, ledger) = (settings, key, store, ledger)
    var waiting = waiting
    // A request that is tried again and again ends with the others.
    waiting.isStopping = { [isStopping = waiting.isStopping] in isStopping() || board.hasEnded }
    try Threads.run(min(settings.concurrency, questions.count)) { [waiting] in
      board.attempt {
        let purchase = try ChatPurchase(settings: settings, key: key, store: store, ledger: ledger, waiting: waiting)
        let questioner = Questioner(settings: settings, purchase: purchase)
        while let (place, question) = board.next() {
          board.put(try questioner.answer(to: question), at: place)
        }
      }
    }
    report.add(board.tally)
    report.spent = ledger.total
    return try board.result()
  }

  /// What was spent from the budget by all runs that name it, and what is reserved.
  package func budgetSpending() throws -> (spent: Spending, reserved: Spending) {
    try store.spending(of: settings.budget.name)
  }
}

extension APISettings {
  /// The model, its server, and a digest of all else that its answers follow from.
  var identity: String {
    let request = ChatRequest(JudgePrompt(system: "s", user: "u", options: []), vote: 0, settings: self)
    let digest = SHA256.digest(of: Array("\(request.key) \(votes) \(leastOptionMass)".utf8))
    return "\(model) at \(serverIdentity) (\(digest.hex.prefix(12)))"
  }
}
