import AlignmentCore

/// Turns the votes on a question into its answer. For one thread.
struct Questioner {
  /// A question's answer and what became of it.
  struct Outcome: Sendable {
    var answer: JudgeAnswer
    var tally = LabellingReport()
    /// Why no question will be answered.
    var fault: Fault?
  }

  let settings: APISettings
  let purchase: ChatPurchase

  /// Asks until an answer has probabilities or all votes are cast.
  func answer(to prompt: JudgePrompt) throws -> Outcome {
    let reader = VerdictReader(options: prompt.options, leastMass: settings.leastOptionMass)
    var ballot = Ballot(prompt.options.count)
    var tally = LabellingReport()
    tally.questions = 1
    for vote in 0..<settings.votes {
      let request = ChatRequest(prompt, vote: vote, settings: settings)
      switch try purchase.answer(to: request) {
      case .answer(let stored, let completion, let isNew):
        tally.bought += isNew ? 1 : 0
        tally.stored += isNew ? 0 : 1
        tally.overrun += isNew && completion.exceeds(request.bound) ? 1 : 0
        ballot.cast(reader.read(completion), completion.text, stored.spent)
        if ballot.hasProbabilities { return outcome(ballot, nil, tally) }
      case .unfunded: return outcome(ballot, .unfunded, tally)
      case .unanswered(let reason, let fault):
        tally.firstReason = reason
        return outcome(ballot, .unanswered, tally, fault)
      case .stopped: return outcome(ballot, .unanswered, tally, Self.stopped)
      }
    }
    return outcome(ballot, nil, tally)
  }

  private static let stopped = Fault(
    .interrupted, "labelling was stopped on request", hint: "start again to go on; the answers so far are kept")

  /// - Parameters:
  ///   - gap: why a vote is missing.
  private func outcome(
    _ ballot: Ballot, _ gap: JudgeAnswer.Absence?, _ tally: LabellingReport, _ fault: Fault? = nil
  ) -> Outcome {
    var tally = tally
    let answer = ballot.answer(absence: gap ?? .unreadable)
    switch answer.absence {
    case .unreadable: tally.unreadable = 1
    case .unanswered: tally.unanswered = 1
    case .unfunded: tally.unfunded = 1
    case nil: tally.withoutProbabilities = settings.asksLogProbabilities && answer.evidence == .votes ? 1 : 0
    }
    return Outcome(answer: answer, tally: tally, fault: fault)
  }
}

/// The votes on one question.
private struct Ballot {
  private var sums: [Double]
  private var readable = 0
  private var texts: [String] = []
  private var spent = Spending()
  /// Whether the last answer had probabilities, which say all.
  private(set) var hasProbabilities = false

  init(_ options: Int) { sums = [Double](repeating: 0, count: options) }

  mutating func cast(_ reading: VerdictReading?, _ text: String, _ spent: Spending) {
    texts.append(text)
    self.spent = self.spent + spent
    guard let reading else { return }
    hasProbabilities = reading.evidence == .logProbabilities
    if hasProbabilities {
      sums = reading.probabilities
      readable = 1
    } else {
      for (option, share) in reading.probabilities.enumerated() { sums[option] += share }
      readable += 1
    }
  }

  func answer(absence: JudgeAnswer.Absence) -> JudgeAnswer {
    JudgeAnswer(
      probabilities: readable > 0 ? sums.map { $0 / Double(readable) } : nil,
      evidence: hasProbabilities ? .logProbabilities : .votes, absence: absence, texts: texts,
      cost: JudgementCost(spent))
  }
}

extension JudgementCost {
  init(_ spending: Spending) {
    self.init()
    requests = spending.requests
    promptTokens = spending.promptTokens
    completionTokens = spending.completionTokens
    money = spending.money
  }
}
