import AlignmentCore

/// Abstains where a preference function is not sure: max(q, 1 − q) < c (SSRM, He et al. 2024, arXiv 2409.06903).
package struct ThresholdedPreference<Inner: PreferenceFunction>: PreferenceFunction {
  package let inner: Inner
  /// c, from ½ to 1.
  package let threshold: Double

  /// - Throws: ``Fault`` for a threshold outside ½…1.
  package init(_ inner: Inner, threshold: Double) throws {
    guard (0.5...1).contains(threshold) else {
      throw Fault(
        .configuration, "a confidence of \(threshold)", at: "labels.abstain_below",
        hint: "the probability of the likelier label is from 0.5 to 1")
    }
    self.inner = inner
    self.threshold = threshold
  }

  package var identity: String { "\(inner.identity), abstaining below \(threshold)" }

  package func judgements(of questions: [Inner.Question]) throws -> [Judgement] {
    try inner.judgements(of: questions).map { judgement in
      var result = judgement
      result.q = judgement.q.flatMap { max($0, 1 - $0) < threshold ? nil : $0 }
      return result
    }
  }
}

extension ThresholdedPreference: PairwisePreferenceFunction where Inner: PairwisePreferenceFunction {}
extension ThresholdedPreference: PointwisePreferenceFunction where Inner: PointwisePreferenceFunction {}
