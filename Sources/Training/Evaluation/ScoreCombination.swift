import Objectives

/// How the scores that the models of an ensemble give a completion become one (Coste et al. 2024, arXiv 2310.02743, whose
/// uncertainty-weighted score subtracts the variance where the lower bound subtracts the standard deviation).
package enum ScoreCombination: Equatable, Sendable {
  case mean
  /// The score of the model that likes the completion least.
  case minimum
  /// mean − λ·std, std being the standard deviation of the models' scores, with their number in the denominator.
  case lowerBound(lambda: Double)

  /// - Parameters:
  ///   - scores: of the models, not empty.
  package func value(of scores: [Double]) -> Double {
    let moments = Moments(scores)
    switch self {
    case .mean: return moments.mean
    case .minimum: return scores.min() ?? moments.mean
    case .lowerBound(let lambda): return moments.mean - lambda * moments.deviation
    }
  }
}
