import AlignmentCore

/// How answers of a labelling model become judgements.
package struct JudgeSettings: Sendable, Equatable {
  /// What is done about responses that look as if they were written for the judge.
  package enum SuspectTreatment: String, Sendable, CaseIterable {
    /// They are judged like others and reported.
    case report
    /// They get no judgement.
    case abstain
  }

  /// Whether pairs are shown in both orders; otherwise in the order in which they come.
  package var asksBothOrders = true
  /// How the two orders become one, where the model gives probabilities. Votes are averaged.
  package var debiasing = PositionDebiasing()
  /// The share of answers of one call that may hold no verdict; more is a fault, and one alone never is unless this is 0.
  package var unreadableLimit = 0.05
  package var suspects = SuspectTreatment.report

  package init() {}
}

/// What became of a judge's questions, over the life of the process.
package struct JudgeReport: Sendable, Equatable {
  /// Questions to the model; two for a pair in both orders.
  package var questions = 0
  package var unreadable = 0
  package var unanswered = 0
  package var unfunded = 0
  /// Responses that were looked at.
  package var responses = 0
  /// Of these, with markers of prompts in them.
  package var withMarkers = 0
  /// Of these, that tell the judge what to say.
  package var withInstructions = 0
  /// Of these, the same for many prompts.
  package var constant = 0
  /// How some of the constant responses begin, and for how many prompts each was given.
  package var constantTexts: [String: Int] = [:]

  package init() {}

  /// The share of the answers that hold no verdict; 0 for none.
  package var unreadableShare: Double {
    let answers = questions - unanswered - unfunded
    return answers == 0 ? 0 : Double(unreadable) / Double(answers)
  }

  /// What a person should know, one sentence each; empty where nothing is remarkable.
  package var remarks: [String] {
    let counts: [(Int, String)] = [
      (unreadable, "\(unreadable) of \(questions) answers of the judge hold no verdict"),
      (unanswered, "\(unanswered) of \(questions) questions got no answer"),
      (unfunded, "\(unfunded) of \(questions) questions were beyond the budget"),
      (withMarkers, "\(withMarkers) of \(responses) responses contain markers of prompts"),
      (withInstructions, "\(withInstructions) of \(responses) responses tell the judge what to say"),
      (
        constant,
        "\(constant) of \(responses) responses are the same for many prompts, which suggests an attack on the judge"
      ),
    ]
    return counts.filter { $0.0 > 0 }.map(\.1)
  }
}
