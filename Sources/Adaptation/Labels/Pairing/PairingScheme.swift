import AlignmentCore

/// Two responses of a group, by their places in it, or one that is to be imitated.
package struct CandidatePair: Sendable, Equatable {
  package var first: Int
  /// Nil where nothing is compared: the first response is an example to imitate.
  package var second: Int?
  /// Weight of the example, for schemes whose pairs share responses.
  package var weight: Double

  package init(_ first: Int, _ second: Int?, weight: Double = 1) {
    self.first = first
    self.second = second
    self.weight = weight
  }
}

/// A pair and what was said of it.
package struct JudgedPair: Sendable, Equatable {
  package var pair: CandidatePair
  package var judgement: Judgement

  package init(pair: CandidatePair, judgement: Judgement) {
    self.pair = pair
    self.judgement = judgement
  }
}

/// Chooses which responses to a prompt become pairs.
///
/// A scheme sees one group at a time, so its pairs do not depend on the other groups. Which response of a pair stands
/// first says nothing; who judges the pair decides on the order of presentation.
package protocol PairingScheme: Sendable {
  /// Name in recipes.
  static var name: String { get }
  /// One line for `adalign list`.
  static var summary: String { get }
  static var options: [OptionDescription] { get }
  init(options: OptionValues)
  /// Whether the scheme looks at scores before it chooses.
  var needsScores: Bool { get }
  /// Whether judgements of earlier pairs decide on later ones, so that every pair must be judged.
  var dependsOnJudgements: Bool { get }
  /// The pairs to be judged next; a scheme ends with an empty round.
  ///
  /// - Parameters:
  ///   - round: 0 at first; a knock-out has several.
  ///   - judged: the pairs of the rounds before, in order.
  ///   - stream: random numbers that belong to the group, the same in every round.
  func pairs(round: Int, of group: CandidateGroup, judged: [JudgedPair], _ stream: RandomStream) -> [CandidatePair]
}

/// A scheme that chooses all pairs at once.
package protocol OneRoundScheme: PairingScheme {
  func pairs(of group: CandidateGroup, _ stream: RandomStream) -> [CandidatePair]
}

extension OneRoundScheme {
  package var dependsOnJudgements: Bool { false }

  package func pairs(
    round: Int, of group: CandidateGroup, judged: [JudgedPair], _ stream: RandomStream
  ) -> [CandidatePair] {
    round == 0 ? pairs(of: group, stream) : []
  }
}

extension RandomStream {
  /// The numbers below `count` in random order (Durstenfeld 1964, algorithm 235); uses the positions below `count`.
  func shuffledPlaces(_ count: Int) -> [Int] {
    var places = Array(0..<count)
    for last in stride(from: count - 1, to: 0, by: -1) {
      places.swapAt(last, integer(below: last + 1, at: last))
    }
    return places
  }
}
