import Adaptation
import AlignmentCore
import Checkpoints

/// Tells a verdict that is drawn, not the probability: what an annotator does whose choices follow Bradley and Terry.
///
/// The draw belongs to the texts, so that the same pair always gets the same verdict, in either order.
struct NoisyPreference: PairwisePreferenceFunction {
  private let inner: any PairwisePreferenceFunction
  private let temperature: Double
  private let seed: UInt64

  init(_ inner: any PairwisePreferenceFunction, temperature: Double, seed: UInt64) {
    self.inner = inner
    self.temperature = temperature
    self.seed = seed
  }

  var identity: String { "\(inner.identity), drawn at temperature \(temperature) with seed \(seed)" }

  func judgements(of questions: [Comparison]) throws -> [Judgement] {
    zip(questions, try inner.judgements(of: questions)).map { question, judgement in
      var result = judgement
      result.q = judgement.q.map { q in
        let isSwapped = question.second < question.first
        let probability = PreferenceLogit.probability(PreferenceLogit.logit(isSwapped ? 1 - q : q) / temperature)
        return (uniform(isSwapped ? question.swapped : question) < probability) != isSwapped ? 1 : 0
      }
      return result
    }
  }

  private func uniform(_ question: Comparison) -> Double {
    let hash = SHA256()
    for text in question.texts { hash.update(field: text) }
    let number = hash.finish().bytes.prefix(8).reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    return RandomStream(seed: seed ^ number, purpose: .judging, 1).uniform(at: 0)
  }
}
