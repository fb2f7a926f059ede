import AlignmentCore

/// The labels of a dataset as a preference function: it knows what the data say, in either order, and abstains on all
/// else.
///
/// A question that the data answer several times has the mean of the answers.
package struct OfflinePreference<Question: PreferenceQuestion>: PreferenceFunction {
  package let identity: String
  private var answers: [JudgementKey: (sum: Double, count: Double)] = [:]

  /// - Parameters:
  ///   - labels: questions, and the probability that the first response of each, or the only one, is the better one.
  package init(_ labels: [(question: Question, q: Double)], identity: String = "offline labels") {
    self.identity = identity
    for (question, q) in labels {
      let (key, _, isReversed) = question.orderless(judge: "")
      answers[key, default: (0, 0)].sum += isReversed ? 1 - q : q
      answers[key, default: (0, 0)].count += 1
    }
  }

  package func judgements(of questions: [Question]) -> [Judgement] {
    questions.map { question in
      let (key, _, isReversed) = question.orderless(judge: "")
      let judgement = Judgement(q: answers[key].map { $0.sum / $0.count })
      return isReversed ? judgement.swapped : judgement
    }
  }
}

extension OfflinePreference: PairwisePreferenceFunction where Question == Comparison {}
extension OfflinePreference: PointwisePreferenceFunction where Question == JudgedResponse {}

/// Makes single labelled responses of offline pairs: of each pair either the chosen response, labelled desirable, or
/// the rejected one, labelled undesirable.
package struct OfflineDraw: Sendable, Equatable {
  /// P(s = +)
  package let positiveFraction: Double
  private let seed: UInt64

  /// - Throws: ``Fault`` for a fraction outside 0…1.
  package init(positiveFraction: Double, seed: UInt64) throws {
    guard (0...1).contains(positiveFraction) else {
      throw Fault(
        .configuration, "a share of \(positiveFraction)", at: "labels.positive_fraction",
        hint: "a share is from 0 to 1")
    }
    self.positiveFraction = positiveFraction
    self.seed = seed
  }

  /// Whether an example gives its chosen response, by one draw that belongs to its number in the whole dataset.
  package func takesChosen(example: Int) -> Bool {
    RandomStream(seed: seed, purpose: .mixing, example).uniform(at: 0) < positiveFraction
  }
}
