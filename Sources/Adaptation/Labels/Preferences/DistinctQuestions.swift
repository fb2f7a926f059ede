import AlignmentCore

/// Questions of which equal ones are asked once.
struct DistinctQuestions<Question: PreferenceQuestion> {
  /// The different questions, in order of appearance.
  private(set) var questions: [Question] = []
  /// What each of them is found by.
  private(set) var keys: [JudgementKey] = []
  /// For each question as it came: its place among the different ones, and whether it is asked in the other order.
  private var slots: [(place: Int, isReversed: Bool)] = []

  /// - Parameters:
  ///   - judge: becomes part of the keys.
  ///   - mergesOrders: Whether both orders of two responses are one question.
  init(_ all: [Question], judge: String = "", mergesOrders: Bool = false) {
    var places: [JudgementKey: Int] = [:]
    for question in all {
      let (key, own, isReversed) =
        mergesOrders
        ? question.orderless(judge: judge) : (JudgementKey(judge: judge, question: question), question, false)
      let place = places[key, default: questions.count]
      if place == questions.count {
        places[key] = place
        questions.append(own)
        keys.append(key)
      }
      slots.append((place, isReversed))
    }
  }

  /// The answers to all questions, given those to the different ones; the cost stays with the first of equals.
  func spread(_ answers: [Judgement]) -> [Judgement] {
    precondition(answers.count == questions.count, "\(answers.count) answers to \(questions.count) questions")
    var answers = answers
    return slots.map { place, isReversed in
      let answer = isReversed ? answers[place].swapped : answers[place]
      answers[place].cost = JudgementCost()
      return answer
    }
  }
}

extension PreferenceQuestion {
  /// The one of both orders of the responses that stands for either: its key, and whether it is not the order at hand.
  func orderless(judge: String) -> (key: JudgementKey, question: Self, isReversed: Bool) {
    let key = JudgementKey(judge: judge, question: self)
    guard let reversed else { return (key, self, false) }
    let other = JudgementKey(judge: judge, question: reversed)
    return other.bytes.lexicographicallyPrecedes(key.bytes) ? (other, reversed, true) : (key, self, false)
  }
}
