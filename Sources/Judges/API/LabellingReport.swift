/// What became of the questions that a labelling model was asked, over the life of the process.
package struct LabellingReport: Sendable, Equatable {
  /// Questions, equal ones counted once.
  package var questions = 0
  /// Answers that were in the store.
  package var stored = 0
  /// Answers that were bought.
  package var bought = 0
  /// Questions decided by votes although probabilities were asked for.
  package var withoutProbabilities = 0
  /// Questions without a verdict in any answer.
  package var unreadable = 0
  /// Questions that the server refused or failed at.
  package var unanswered = 0
  /// Questions that the budget did not cover.
  package var unfunded = 0
  /// Answers that took more tokens than their requests had reserved.
  package var overrun = 0
  /// The first reason for an unanswered question; empty where there is none.
  package var firstReason = ""
  /// What this process has spent.
  package var spent = Spending()

  package init() {}

  /// Adds the counts of other questions.
  mutating func add(_ other: LabellingReport) {
    questions += other.questions
    stored += other.stored
    bought += other.bought
    withoutProbabilities += other.withoutProbabilities
    unreadable += other.unreadable
    unanswered += other.unanswered
    unfunded += other.unfunded
    overrun += other.overrun
    if firstReason.isEmpty { firstReason = other.firstReason }
  }

  /// What a person should know, one sentence each; empty where all went well.
  package var remarks: [String] {
    var remarks: [String] = []
    if unfunded > 0 { remarks.append("the budget is used up: \(unfunded) of \(questions) questions were not asked") }
    if unanswered > 0 { remarks.append("\(unanswered) of \(questions) questions got no answer: \(firstReason)") }
    if unreadable > 0 { remarks.append("\(unreadable) of \(questions) answers hold no verdict") }
    if withoutProbabilities > 0 {
      remarks.append(
        "the server gave no probabilities for \(withoutProbabilities) of \(questions) questions; votes decided them")
    }
    if overrun > 0 {
      remarks.append(
        "\(overrun) answers took more tokens than were reserved, so that the budget may be exceeded: raise "
          + "api.template_tokens")
    }
    return remarks
  }
}
