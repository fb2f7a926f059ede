import AlignmentCore

/// All n(n − 1)/2 pairs. Each response is in n − 1 of them, so each pair has the weight 1/(n − 1) and a prompt the
/// weight n/2, as in a matching.
package struct AllPairs: OneRoundScheme {
  package static let name = "all_pairs"
  package static let summary = "all pairs, each of weight 1/(n - 1)"
  package static let options: [OptionDescription] = []
  package let needsScores = false

  package init(options: OptionValues) {}

  package func pairs(of group: CandidateGroup, _ stream: RandomStream) -> [CandidatePair] {
    Self.pairs(of: group.count, weight: 1 / Double(max(1, group.count - 1)))
  }

  /// All pairs of the numbers below `count`, in lexicographic order.
  static func pairs(of count: Int, weight: Double = 1) -> [CandidatePair] {
    (0..<count).flatMap { first in (first + 1..<count).map { CandidatePair(first, $0, weight: weight) } }
  }
}
