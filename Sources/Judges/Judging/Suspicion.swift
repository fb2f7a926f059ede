/// Signs that a response was written for the judge rather than for the reader.
package struct Suspicion: OptionSet, Sendable, Hashable {
  package let rawValue: Int
  package init(rawValue: Int) { self.rawValue = rawValue }

  /// It contains the markers that set responses apart, or those of a chat's turns.
  package static let markers = Suspicion(rawValue: 1)
  /// It tells the judge what to say.
  package static let instructions = Suspicion(rawValue: 2)
  /// It is the same for many prompts (Zheng et al. 2024, arXiv 2410.07137: null models win by a constant).
  package static let constant = Suspicion(rawValue: 4)

  /// What a text alone shows.
  init(of text: String) {
    self = []
    let marks = [UntrustedText.opening, UntrustedText.closing] + Self.turnMarkers
    if marks.contains(where: text.contains) { insert(.markers) }
    let words = Self.normalized(text)
    if Self.phrases.contains(where: words.contains) { insert(.instructions) }
  }

  /// Around the turns of chats in the templates of common models.
  private static let turnMarkers = [
    "<|im_start|>", "<|im_end|>", "<|eot_id|>", "<|start_header_id|>", "<|end_of_text|>", "<|endoftext|>", "[INST]",
    "[/INST]", "<start_of_turn>", "<end_of_turn>", "<|assistant|>", "<|system|>",
  ]

  private static let phrases =
    [
      "ignore previous instructions", "ignore all previous instructions", "ignore the previous instructions",
      "ignore the above", "ignore all of the above", "ignore prior instructions", "ignore your instructions",
      "disregard previous instructions", "disregard all previous instructions", "disregard the above",
      "forget your instructions", "forget all previous instructions", "you must choose", "you must select",
      "note to the judge", "note to the evaluator", "dear judge", "attention judge", "as the judge you",
      "best model identifier", "is better than the other response", "the other response is worse",
      "answer with the letter", "final score 10", "final score 5", "score 10 10", "score 5 5", "rate this response",
      "give this response", "verdict yes",
    ].map { " \($0) " }
    + ["a", "b"].flatMap { letter in
      [
        "verdict \(letter)", "winner \(letter)", "verdict is \(letter)", "winner is \(letter)", "output only \(letter)",
        "response \(letter) is better", "response \(letter) is the better", "response \(letter) is the best",
        "better response is \(letter)", "best response is \(letter)", "better answer is \(letter)",
        "choose response \(letter)", "select response \(letter)", "prefer response \(letter)",
      ].map { " \($0) " }
    }

  /// The words in lower case with one space around each, so that marks between them hide nothing.
  private static func normalized(_ text: String) -> String {
    let words = text.lowercased().split { !$0.isLetter && !$0.isNumber }
    return " " + words.joined(separator: " ") + " "
  }
}

/// Finds responses that are the same for many prompts.
struct ConstantResponses: Sendable {
  /// Fewer prompts than this prove nothing.
  static let leastPrompts = 5
  /// The share of all prompts from which on a response is suspicious.
  static let leastShare = 0.05

  /// The suspicious texts and the number of prompts of each, most prompts first.
  let texts: [(text: String, prompts: Int)]
  private let suspects: Set<String>

  /// - Parameters:
  ///   - responses: with the prompts they answer.
  init(_ responses: [(prompt: String, response: String)]) {
    var prompts: [String: Set<String>] = [:]
    for (prompt, response) in responses { prompts[response.trimmed, default: []].insert(prompt) }
    let all = Set(responses.map(\.prompt)).count
    let least = max(Double(Self.leastPrompts), Self.leastShare * Double(all))
    texts = prompts.filter { Double($0.value.count) >= least }.map { ($0.key, $0.value.count) }
      .sorted { ($1.prompts, $0.text) < ($0.prompts, $1.text) }
    suspects = Set(texts.map(\.text))
  }

  func contains(_ response: String) -> Bool { suspects.contains(response.trimmed) }
}
