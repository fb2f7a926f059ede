import AlignmentCore

/// The best response alone, to be imitated (RAFT, Dong et al. 2023, arXiv 2304.06767, algorithm 1).
package struct BestOfN: OneRoundScheme {
  package static let name = "best_of_n"
  package static let summary = "the best response by score, to be imitated, arXiv 2304.06767"
  package static let options: [OptionDescription] = []
  package let needsScores = true

  package init(options: OptionValues) {}

  package func pairs(of group: CandidateGroup, _ stream: RandomStream) -> [CandidatePair] {
    group.best.map { [CandidatePair($0, nil)] } ?? []
  }
}
