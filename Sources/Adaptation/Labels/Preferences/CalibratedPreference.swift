import AlignmentCore

/// Divides the logits of a preference function by a temperature (Guo et al. 2017, arXiv 1706.04599, §4.2); scores stay.
package struct CalibratedPreference<Inner: PreferenceFunction>: PreferenceFunction {
  package let inner: Inner
  /// Above 1 for a judge that is too sure of itself.
  package let temperature: Double

  /// - Throws: ``Fault`` for a temperature that is not positive.
  package init(_ inner: Inner, temperature: Double) throws {
    self.inner = inner
    self.temperature = try ScorePreference(temperature: temperature).temperature
  }

  package var identity: String { "\(inner.identity), temperature \(temperature)" }

  package func judgements(of questions: [Inner.Question]) throws -> [Judgement] {
    try inner.judgements(of: questions).map { judgement in
      var result = judgement
      result.q = judgement.q.map { PreferenceLogit.probability(PreferenceLogit.logit($0) / temperature) }
      return result
    }
  }
}

extension CalibratedPreference: PairwisePreferenceFunction where Inner: PairwisePreferenceFunction {}
extension CalibratedPreference: PointwisePreferenceFunction where Inner: PointwisePreferenceFunction {}
