import AlignmentCore

/// Why a pair or a response has no label, in the order in which filters are applied: each is counted under the first
/// that drops it. The first four need no judgement, so that nothing is paid for what they drop.
package enum DropReason: String, Sendable, CaseIterable {
  /// The two texts are equal, or the same texts were paired before.
  case duplicate
  /// A text that answers many prompts.
  case reusedAnswer = "reused_answer"
  case lengthRatio = "length_ratio"
  case gap
  /// The judge was not asked, for its ration was used up.
  case unasked
  case abstained
  case tie
  case confidence
  case lengthBalance = "length_balance"
}

/// Which pairs and responses become labels.
package struct LabelFilters: Sendable, Equatable {
  /// Least difference of a pair's scores.
  package enum Gap: Sendable, Equatable {
    case none
    case absolute(Double)
    /// The share of the pairs that is dropped, those that differ least.
    case quantile(Double)
  }

  /// Drops pairs of equal texts, and pairs and responses that the prompt had before.
  package var dropsDuplicates = true
  /// Drops what holds a text that answers more different prompts than this; nil drops none.
  package var mostPromptsOfAnswer: Int?
  /// The longer text of a pair is at most this many times as long as the other one, in bytes of UTF-8.
  package var greatestLengthRatio = Double.infinity
  package var gap = Gap.none
  /// Drops |q − ½| up to this, 0 exact ties alone; nil keeps all.
  package var tieBand: Double? = 0
  /// Drops max(q, 1 − q) below this.
  package var leastConfidence = 0.5
  /// The longer response wins, or loses, in at most this share of the pairs; surplus pairs are dropped, the least sure
  /// ones first. 1 drops none.
  package var greatestLengthShare = 1.0

  package init() {}

  /// - Throws: ``Fault`` for values that are out of range.
  func validate() throws {
    let isGapValid =
      switch gap {
      case .none: true
      case .absolute(let gap): gap >= 0
      case .quantile(let share): (0...1).contains(share)
      }
    let checks: [(Bool, String, String)] = [
      (mostPromptsOfAnswer ?? 1 >= 1, "most_prompts_of_answer", "1 or more"),
      (greatestLengthRatio >= 1, "length_ratio", "1 or more"),
      (isGapValid, "gap", "0 or more; as a quantile at most 1"),
      ((0...0.5).contains(tieBand ?? 0), "tie_band", "from 0 to 0.5"),
      ((0.5...1).contains(leastConfidence), "confidence", "from 0.5 to 1"),
      ((0.5...1).contains(greatestLengthShare), "length_share", "from 0.5 to 1"),
    ]
    for (isValid, key, range) in checks where !isValid {
      throw Fault(.configuration, "a filter is out of range", at: "labels.\(key)", hint: "it is \(range)")
    }
  }

  /// Applies the filters that need no judgement.
  func dropBeforeJudging(_ proposals: inout [Proposal], of groups: [CandidateGroup]) {
    if dropsDuplicates { dropDuplicates(&proposals, of: groups) }
    if let most = mostPromptsOfAnswer {
      let prompts = AnswerReuse.promptCounts(in: groups)
      proposals.drop(.reusedAnswer) { $0.texts(in: groups).contains { prompts[$0, default: 0] > most } }
    }
    proposals.drop(.lengthRatio) { proposal in
      let lengths = proposal.texts(in: groups).map { Double($0.utf8.count) }
      guard let longest = lengths.max(), let shortest = lengths.min() else { return false }
      return longest > greatestLengthRatio * shortest
    }
    dropSmallGaps(&proposals, of: groups)
  }

  /// Applies the filters that look at judgements.
  func dropAfterJudging(_ proposals: inout [Proposal], of groups: [CandidateGroup]) {
    proposals.drop(.abstained) { $0.judgement?.q == nil }
    // Nothing is judged where a response is to be imitated.
    proposals.drop(.tie) { proposal in
      guard let tieBand, let q = proposal.judgement?.q else { return false }
      return abs(q - 0.5) <= tieBand
    }
    proposals.drop(.confidence) { proposal in
      guard let q = proposal.judgement?.q else { return false }
      return max(q, 1 - q) < leastConfidence
    }
    balanceLengths(&proposals, of: groups)
  }

  private func dropDuplicates(_ proposals: inout [Proposal], of groups: [CandidateGroup]) {
    var seen: Set<[String]> = []
    var group = -1
    proposals.drop(.duplicate) { proposal in
      if proposal.group != group { (group, seen) = (proposal.group, []) }
      let texts = proposal.texts(in: groups).sorted()
      return texts.count == 2 && texts[0] == texts[1] || !seen.insert(texts).inserted
    }
  }

  private func dropSmallGaps(_ proposals: inout [Proposal], of groups: [CandidateGroup]) {
    let least: Double
    switch gap {
    case .none: return
    case .absolute(let gap): least = gap
    case .quantile(let share):
      let ascending = proposals.filter { $0.reason == nil }.compactMap { $0.gap(in: groups) }.sorted()
      guard !ascending.isEmpty else { return }
      least = ascending[min(ascending.count - 1, Int(share * Double(ascending.count)))]
    }
    proposals.drop(.gap) { proposal in proposal.gap(in: groups).map { $0 < least } ?? false }
  }

  private func balanceLengths(_ proposals: inout [Proposal], of groups: [CandidateGroup]) {
    guard greatestLengthShare < 1 else { return }
    var sides: (longer: [Int], shorter: [Int]) = ([], [])
    for (place, proposal) in proposals.enumerated() where proposal.reason == nil {
      guard let difference = proposal.lengthDifference(in: groups), difference != 0 else { continue }
      if difference > 0 { sides.longer.append(place) } else { sides.shorter.append(place) }
    }
    let (more, fewer) =
      sides.longer.count >= sides.shorter.count ? (sides.longer, sides.shorter) : (sides.shorter, sides.longer)
    // The most m with m ≤ share · (m + fewer); the quotient may fall short of a whole number by rounding.
    let most = Int(greatestLengthShare / (1 - greatestLengthShare) * Double(fewer.count) * (1 + 1e-12))
    let sureness = more.map { proposals[$0].judgement?.confidence ?? 0 }
    let leastSureFirst = more.indices.sorted { (sureness[$0], -$0) < (sureness[$1], -$1) }
    for index in leastSureFirst.dropLast(most) { proposals[more[index]].reason = .lengthBalance }
  }
}

extension [Proposal] {
  /// Drops what a filter hits and no other one has dropped.
  fileprivate mutating func drop(_ reason: DropReason, where isHit: (Proposal) -> Bool) {
    for place in indices where self[place].reason == nil && isHit(self[place]) { self[place].reason = reason }
  }
}
