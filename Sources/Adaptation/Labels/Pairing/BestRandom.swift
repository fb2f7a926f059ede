import AlignmentCore

/// The best response and a random one of the rest.
package struct BestRandom: OneRoundScheme {
  package static let name = "best_random"
  package static let summary = "best by score and a random one of the rest"
  package static let options: [OptionDescription] = []
  package let needsScores = true

  package init(options: OptionValues) {}

  package func pairs(of group: CandidateGroup, _ stream: RandomStream) -> [CandidatePair] {
    guard let best = group.best, group.count > 1 else { return [] }
    let other = stream.integer(below: group.count - 1, at: 0)
    return [CandidatePair(best, other < best ? other : other + 1)]
  }
}
