import AlignmentCore

/// A random perfect matching: n/2 pairs that share no response; of an odd number one sits out (Liu et al. 2023, arXiv
/// 2309.06657, table 2, "first-round-rank").
package struct FirstRound: OneRoundScheme {
  package static let name = "first_round"
  package static let summary = "random perfect matching, n/2 pairs, arXiv 2309.06657"
  package static let options: [OptionDescription] = []
  package let needsScores = false

  package init(options: OptionValues) {}

  package func pairs(of group: CandidateGroup, _ stream: RandomStream) -> [CandidatePair] {
    let places = stream.shuffledPlaces(group.count)
    return stride(from: 1, to: places.count, by: 2).map { CandidatePair(places[$0 - 1], places[$0]) }
  }
}
