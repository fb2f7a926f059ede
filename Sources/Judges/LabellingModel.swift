import AlignmentCore

/// A question to a labelling language model, with the answers it may give.
package struct JudgePrompt: Sendable, Hashable {
  /// Instructions; empty where the model has none.
  package var system: String
  package var user: String
  /// The texts of the possible verdicts, such as "A" and "B".
  package var options: [String]

  package init(system: String = "", user: String, options: [String]) {
    self.system = system
    self.user = user
    self.options = options
  }
}

/// What a labelling model answered.
package struct JudgeAnswer: Sendable, Equatable {
  /// What probabilities rest on.
  package enum Evidence: String, Sendable, CaseIterable {
    /// The model's own probabilities of tokens: their logits can be averaged and scaled.
    case logProbabilities
    /// Shares of verdicts that were written: they can be 0 and 1.
    case votes
  }

  /// Why there are no probabilities.
  package enum Absence: String, Sendable, CaseIterable {
    /// The model wrote no verdict.
    case unreadable
    /// The server refused the question, or failed at every try.
    case unanswered
    /// The budget is used up.
    case unfunded
  }

  /// Probability of each option, normalised over the options; nil where there is no verdict.
  package var probabilities: [Double]?
  package var evidence: Evidence
  /// nil where there are probabilities.
  package var absence: Absence?
  /// What the model wrote, an entry for each vote.
  package var texts: [String]
  package var cost: JudgementCost

  /// - Parameters:
  ///   - absence: why there are no probabilities; left aside where there are.
  package init(
    probabilities: [Double]?, evidence: Evidence = .logProbabilities, absence: Absence = .unreadable,
    texts: [String] = [], cost: JudgementCost = JudgementCost()
  ) {
    self.probabilities = probabilities
    self.evidence = evidence
    self.absence = probabilities == nil ? absence : nil
    self.texts = texts
    self.cost = cost
  }
}

/// A language model that answers judging prompts: one on this cluster, or one behind an API.
package protocol LabellingModel {
  /// What answers, for files, reports and the keys of stored answers.
  var identity: String { get }
  /// An answer to each prompt, in order; the same on every rank.
  func answers(to prompts: [JudgePrompt]) throws -> [JudgeAnswer]
}
