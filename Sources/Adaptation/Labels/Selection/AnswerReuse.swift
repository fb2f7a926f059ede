import AlignmentCore

/// A text that answers many prompts. Judges can be made to prefer one that fits none of them: a constant answer wins
/// most of its comparisons on AlpacaEval (Zheng et al. 2024, arXiv 2410.07137).
package struct AnswerReuse: Sendable, Equatable {
  package var text: String
  /// Different prompts that it answers.
  package var prompts: Int
  /// Share of its comparisons that it won; nil without any.
  package var winRate: Double?
  /// Share of its comparisons where the two orders of presentation contradicted each other; nil where none was judged
  /// in both.
  package var contradictions: Double?

  /// Fewest prompts that a text must answer to be reported.
  package static let fewestPrompts = 3
  /// Least share of all prompts that it must answer.
  package static let leastShare = 0.02

  /// The number of different prompts that each text answers.
  static func promptCounts(in groups: [CandidateGroup]) -> [String: Int] {
    var counts: [String: Int] = [:]
    for groups in Dictionary(grouping: groups, by: \.prompt).values {
      for text in Set(groups.flatMap(\.texts)) { counts[text, default: 0] += 1 }
    }
    return counts
  }

  /// The texts that answer at least ``fewestPrompts`` prompts and the share ``leastShare`` of all, those with most
  /// prompts first.
  static func found(in groups: [CandidateGroup], _ proposals: [Proposal]) -> [AnswerReuse] {
    let least = max(Double(fewestPrompts), leastShare * Double(Set(groups.map(\.prompt)).count))
    var reused = promptCounts(in: groups).filter { Double($0.value) >= least }
      .mapValues { (prompts: $0, wins: [Double](), contradictions: [Double]()) }
    guard !reused.isEmpty else { return [] }
    for proposal in proposals where proposal.pair.second != nil {
      guard let judgement = proposal.judgement, let q = judgement.q else { continue }
      let texts = proposal.texts(in: groups)
      guard texts[0] != texts[1] else { continue }
      for (text, q) in zip(texts, [q, 1 - q]) {
        reused[text]?.wins.append(q > 0.5 ? 1 : q < 0.5 ? 0 : 0.5)
        if let isConsistent = judgement.isConsistent { reused[text]?.contradictions.append(isConsistent ? 0 : 1) }
      }
    }
    return reused.map { text, found in
      AnswerReuse(
        text: text, prompts: found.prompts, winRate: found.wins.meanOfAny,
        contradictions: found.contradictions.meanOfAny)
    }
    .sorted { ($1.prompts, $0.text) < ($0.prompts, $1.text) }
  }
}
