import AlignmentCore

/// The pair whose scores differ least but enough: hard, yet not a coin toss (the `min` sampling of HALOs, Ethayarajh et
/// al. 2024, arXiv 2402.01306).
package struct MinimumGap: OneRoundScheme {
  package static let name = "min_gap"
  package static let summary = "the pair with the smallest difference of scores that clears a threshold"
  package static let options = [
    OptionDescription("least_gap", default: 0, in: 0...1e9, "difference of scores that a pair must have, above 0")
  ]
  package let needsScores = true

  private let leastGap: Double

  package init(options: OptionValues) { leastGap = options["least_gap"] }

  package func pairs(of group: CandidateGroup, _ stream: RandomStream) -> [CandidatePair] {
    let scores = group.scores
    let ascending = scores.indices.sorted { (scores[$0], $0) < (scores[$1], $1) }
    var closest: (pair: CandidatePair, gap: Double)?
    var upper = 0
    for lower in ascending {
      // As the lower score rises, so does the nearest one that is far enough above it.
      while upper < ascending.count, !clears(scores[ascending[upper]] - scores[lower]) { upper += 1 }
      guard upper < ascending.count else { break }
      let gap = scores[ascending[upper]] - scores[lower]
      if closest.map({ gap < $0.gap }) ?? true { closest = (CandidatePair(ascending[upper], lower), gap) }
    }
    return closest.map { [$0.pair] } ?? []
  }

  private func clears(_ gap: Double) -> Bool { gap > 0 && gap >= leastGap }
}
