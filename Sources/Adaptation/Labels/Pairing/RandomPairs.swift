import AlignmentCore

/// Pairs drawn without repetition from all pairs, each as likely as the others.
package struct RandomPairs: OneRoundScheme {
  package static let name = "random"
  package static let summary = "random pairs without repetition"
  package static let options = [
    OptionDescription("pairs", default: 1, in: 1...1e6, "pairs of a prompt, as far as it has that many")
  ]
  package let needsScores = false

  private let wanted: Int

  package init(options: OptionValues) { wanted = Int(options["pairs"]) }

  package func pairs(of group: CandidateGroup, _ stream: RandomStream) -> [CandidatePair] {
    var pairs = AllPairs.pairs(of: group.count)
    // The first steps of a shuffle are a sample without replacement.
    for step in 0..<min(wanted, pairs.count) {
      pairs.swapAt(step, step + stream.integer(below: pairs.count - step, at: step))
    }
    return Array(pairs.prefix(wanted))
  }
}
