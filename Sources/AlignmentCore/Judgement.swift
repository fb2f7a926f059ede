/// What a preference function can be asked.
package protocol PreferenceQuestion: Sendable, Equatable {
  /// The texts that the answer may depend on, in a fixed order.
  var texts: [String] { get }
  /// The same question with the responses in the other order, where there are two.
  var reversed: Self? { get }
}

/// Two responses to a prompt, of which one may be better.
package struct Comparison: PreferenceQuestion {
  package var prompt: String
  package var first: String
  package var second: String

  package init(prompt: String, first: String, second: String) {
    self.prompt = prompt
    self.first = first
    self.second = second
  }

  /// The same responses in the other order.
  package var swapped: Comparison { Comparison(prompt: prompt, first: second, second: first) }

  package var texts: [String] { [prompt, first, second] }
  package var reversed: Comparison? { swapped }
}

/// A response to a prompt that is judged on its own.
package struct JudgedResponse: PreferenceQuestion {
  package var prompt: String
  package var response: String

  package init(prompt: String, response: String) {
    self.prompt = prompt
    self.response = response
  }

  package var texts: [String] { [prompt, response] }
  package var reversed: JudgedResponse? { nil }
}

/// What a judgement took when it was made; a stored one keeps its cost, so that files of judgements do not depend on what
/// was stored before.
package struct JudgementCost: Sendable, Equatable {
  /// Requests that were sent, retries included.
  package var requests = 0
  package var promptTokens = 0
  package var completionTokens = 0
  /// In the currency of the recipe's prices.
  package var money = 0.0

  package init() {}

  package static func + (a: JudgementCost, b: JudgementCost) -> JudgementCost {
    var sum = a
    sum.requests += b.requests
    sum.promptTokens += b.promptTokens
    sum.completionTokens += b.completionTokens
    sum.money += b.money
    return sum
  }
}

/// What a preference function says of two responses, or of one.
package struct Judgement: Sendable, Equatable {
  /// The probability that the first response is the better one, or that the only one is desirable; nil abstains.
  package var q: Double?
  /// A score for each response, where the judge gives scores; empty otherwise.
  package var scores: [Double]
  /// The part of the preference logit that follows the order of presentation, in nats; nil where one order was asked.
  package var positionBias: Double?
  /// Whether both orders of presentation had the same winner; nil where one order was asked.
  package var isConsistent: Bool?
  /// What the judge wrote, an entry for each order or vote; empty where it wrote nothing.
  package var raw: [String]
  package var cost: JudgementCost

  package init(
    q: Double?, scores: [Double] = [], positionBias: Double? = nil, isConsistent: Bool? = nil, raw: [String] = [],
    cost: JudgementCost = JudgementCost()
  ) {
    self.q = q
    self.scores = scores
    self.positionBias = positionBias
    self.isConsistent = isConsistent
    self.raw = raw
    self.cost = cost
  }

  /// How sure the judge is, from 0 (a coin toss, or no answer) to 1.
  package var confidence: Double { q.map { abs(2 * $0 - 1) } ?? 0 }

  /// The judgement of the same responses in the other order.
  package var swapped: Judgement {
    var result = self
    result.q = q.map { 1 - $0 }
    result.scores = scores.reversed()
    return result
  }
}

/// Answers questions about responses. Called with the same questions on every rank; gives every rank the same answers.
package protocol PreferenceFunction<Question> {
  associatedtype Question: PreferenceQuestion
  /// What judges, for files, reports and the keys of stored judgements.
  var identity: String { get }
  /// A judgement for each question, in order.
  func judgements(of questions: [Question]) throws -> [Judgement]
}

/// Says which of two responses is better.
package protocol PairwisePreferenceFunction: PreferenceFunction where Question == Comparison {}

/// Scores single responses: `scores` of a judgement holds one number unless it abstains.
package protocol PointwisePreferenceFunction: PreferenceFunction where Question == JudgedResponse {}
