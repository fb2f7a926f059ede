import AlignmentCore

/// Asks a judge about each comparison in one order only, a random one: position bias becomes noise at half the price of
/// both orders.
///
/// The order is drawn by the texts alone, as AlpacaEval does (Li et al. 2023), so that a comparison is always shown the
/// same way, in whichever order it arrives, and stored judgements are found again.
package struct RandomOrderPreference<Inner: PairwisePreferenceFunction>: PairwisePreferenceFunction {
  /// Answers for the order in which it is shown the responses.
  package let inner: Inner

  package init(_ inner: Inner) { self.inner = inner }

  package var identity: String { "\(inner.identity), one order" }

  package func judgements(of questions: [Comparison]) throws -> [Judgement] {
    let isSwapped = questions.map(\.isShownSwapped)
    let shown = zip(questions, isSwapped).map { $1 ? $0.swapped : $0 }
    return zip(try inner.judgements(of: shown), isSwapped).map { judgement, isSwapped in
      var result = judgement
      result.q = judgement.q.map(PreferenceLogit.mirrorable)
      return isSwapped ? result.swapped : result
    }
  }
}

extension Comparison {
  /// A coin that belongs to the prompt and the two responses.
  fileprivate var isShownSwapped: Bool {
    let (key, _, isReversed) = orderless(judge: "")
    // FNV-1a, which is the same on every machine, as Swift's own hash is not.
    let hash = key.bytes.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    return (RandomStream(seed: hash, purpose: .judging).uniform(at: 0) < 0.5) != isReversed
  }
}
