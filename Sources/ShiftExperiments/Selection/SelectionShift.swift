import Adaptation

/// A bias of selection (Heckman 1979; Shimodaira 2000): which pairs of a pool are collected as source data, and which ones
/// the policy to be aligned will meet. Both go by one covariate, so the density ratio is known exactly.
package struct SelectionShift: Sendable, Hashable {
  package let covariate: SelectionCovariate
  /// Whether the source has the pairs of a large covariate and the target those of a small one, or the reverse.
  package let sourceIsHigh: Bool

  package init(_ covariate: SelectionCovariate, sourceIsHigh: Bool) {
    (self.covariate, self.sourceIsHigh) = (covariate, sourceIsHigh)
  }

  package static let all = SelectionCovariate.allCases.flatMap { covariate in
    [true, false].map { SelectionShift(covariate, sourceIsHigh: $0) }
  }

  package var name: String { "\(covariate.rawValue), \(sourceIsHigh ? "high → low" : "low → high")" }

  /// Every pair has at least this probability to be wanted by the source: the target has no pair that it never shows.
  private static let floor = 0.1

  /// P(pair is source) and P(pair is target) of each pair. The probabilities go by the covariate's rank among all pairs, a
  /// share z of the way up: the source wants a pair with 0.1 + 0.9·σ(11·(z − 0.5)), the target with σ(−14·(z − 0.3)), and a
  /// fair coin decides where both do, so that no pair is in both.
  package func probabilities(_ pairs: SelectionPairs) -> [SelectionProbability] {
    let column = SelectionCovariate.allCases.firstIndex(of: covariate) ?? 0
    let ranks = MidRanks(pairs.covariates.map { $0[column] }).ranks
    return ranks.map { rank in
      let low = (rank - 0.5) / Double(pairs.count)
      let z = sourceIsHigh ? low : 1 - low
      let source = Self.floor + (1 - Self.floor) * sigmoid(11 * (z - 0.5))
      let target = sigmoid(-14 * (z - 0.3))
      return SelectionProbability(source: source * (1 - target / 2), target: target * (1 - source / 2))
    }
  }
}

/// Of a pair; the two exclude each other.
package struct SelectionProbability: Sendable {
  package var source: Double
  package var target: Double
}
