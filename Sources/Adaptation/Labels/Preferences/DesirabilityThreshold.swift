import AlignmentCore

/// From which score on a response counts as desirable.
package enum DesirabilityThreshold: Sendable, Equatable {
  case value(Double)
  /// Mean of all scores.
  case mean
  /// Median of all scores.
  case median
  /// Mean of the scores of the prompt's responses: independent of what pairs cannot tell about a reward, an offset for
  /// each prompt.
  case promptMean

  /// Reads what a recipe says: a number, or a name.
  ///
  /// - Throws: ``Fault`` for anything else.
  package init(_ text: String) throws {
    switch text {
    case "mean": self = .mean
    case "median": self = .median
    case "prompt_mean": self = .promptMean
    default:
      guard let value = Double(text), value.isFinite else {
        throw Fault(
          .configuration, "\"\(text)\" is no threshold", at: "threshold",
          hint: "a number, mean, median or prompt_mean")
      }
      self = .value(value)
    }
  }

  /// θ of each group, given the scores of its responses.
  package func values(for scores: [[Double]]) -> [Double] {
    switch self {
    case .value(let value): scores.map { _ in value }
    case .mean: [Double](repeating: scores.flatMap(\.self).mean, count: scores.count)
    case .median: [Double](repeating: scores.flatMap(\.self).median, count: scores.count)
    case .promptMean: scores.map(\.mean)
    }
  }

  /// Labels of scored responses: q = σ((r − θ)/τ), desirable from ½ on.
  ///
  /// - Parameters:
  ///   - scores: finite, groups × responses.
  ///   - temperature: τ, in units of the score.
  package func judgements(of scores: [[Double]], temperature: Double) -> [[Judgement]] {
    zip(scores, values(for: scores)).map { scores, threshold in
      scores.map { Judgement(q: PreferenceLogit.probability(($0 - threshold) / temperature), scores: [$0]) }
    }
  }
}

extension [Double] {
  /// 0 for none.
  var mean: Double { isEmpty ? 0 : reduce(0, +) / Double(count) }

  /// The mean of the two in the middle for an even number; 0 for none.
  var median: Double {
    guard !isEmpty else { return 0 }
    let ascending = sorted()
    return (ascending[(count - 1) / 2] + ascending[count / 2]) / 2
  }
}
