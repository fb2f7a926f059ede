import AlignmentCore

/// The best and the worst response (West-of-N, Pace et al. 2024, arXiv 2401.12086; self-rewarding, Yuan et al. 2024,
/// arXiv 2401.10020).
package struct MaxMin: OneRoundScheme {
  package static let name = "max_min"
  package static let summary = "best and worst by score, arXiv 2401.12086"
  package static let options: [OptionDescription] = []
  package let needsScores = true

  package init(options: OptionValues) {}

  package func pairs(of group: CandidateGroup, _ stream: RandomStream) -> [CandidatePair] {
    guard let best = group.best, let worst = group.worst, best != worst else { return [] }
    return [CandidatePair(best, worst)]
  }
}
