import AlignmentCore

/// Responses to one prompt that labels are made for.
package struct CandidateGroup: Sendable, Equatable {
  /// The prompt's number in the data, below 2³²; the group's random numbers belong to it.
  package var number: Int
  package var prompt: String
  package var texts: [String]
  /// A score for each response; empty where nothing scores them.
  package var scores: [Double]

  package init(number: Int, prompt: String = "", texts: [String], scores: [Double] = []) {
    self.number = number
    self.prompt = prompt
    self.texts = texts
    self.scores = scores
  }

  /// Number of responses.
  package var count: Int { texts.count }

  /// The place of the best response, the first of equals; nil without responses. Needs scores.
  var best: Int? { scores.indices.max { scores[$0] < scores[$1] || (scores[$0] == scores[$1] && $0 > $1) } }

  /// The place of the worst response, the last of equals, so that of two responses the best is never the worst.
  var worst: Int? { scores.indices.min { scores[$0] < scores[$1] || (scores[$0] == scores[$1] && $0 > $1) } }

  /// The group of some of its responses, in the order given.
  package func subset(_ places: [Int]) -> CandidateGroup {
    CandidateGroup(
      number: number, prompt: prompt, texts: places.map { texts[$0] },
      scores: scores.isEmpty ? [] : places.map { scores[$0] })
  }

  /// - Throws: ``Fault`` unless there is either no score or a finite one for each response.
  func validate() throws {
    guard scores.isEmpty || scores.count == count else {
      throw Fault(
        .data, "\(scores.count) scores for \(count) responses", at: "prompt \(number)",
        hint: "score every response or none")
    }
    guard let place = scores.firstIndex(where: { !$0.isFinite }) else { return }
    throw Fault(
      .nonFinite, "the score of response \(place) is \(scores[place])", at: "prompt \(number)",
      hint: "check the reward model on this response")
  }
}
