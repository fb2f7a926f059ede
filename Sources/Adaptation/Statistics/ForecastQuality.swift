extension ClassifierQuality {
  static let bins = 15

  /// Measures forecasts of P(target) that were made for responses outside the forecaster's training data.
  ///
  /// - Parameter forecasts: of responses of both domains, with scores in [0, 1].
  init(_ forecasts: [ScoredResponse]) {
    let sorted = forecasts.sorted { $0.score < $1.score }
    let groups = Self.ties(sorted)
    let reliability = Self.reliability(groups)
    let count = Double(forecasts.count)
    self.init(
      auc: Self.auc(groups),
      ece: reliability.reduce(0) { $0 + Double($1.count) / count * abs($1.forecast - $1.share) },
      brier: sorted.reduce(0) { $0 + ($1.score - ($1.isTarget ? 1 : 0)) * ($1.score - ($1.isTarget ? 1 : 0)) } / count,
      reliability: reliability)
  }

  /// Responses with the same forecast.
  private struct Ties {
    var score: Double
    var count = 0
    var targets = 0
  }

  private static func ties(_ sorted: [ScoredResponse]) -> [Ties] {
    var groups: [Ties] = []
    for response in sorted {
      if groups.last?.score != response.score { groups.append(Ties(score: response.score)) }
      groups[groups.count - 1].count += 1
      groups[groups.count - 1].targets += response.isTarget ? 1 : 0
    }
    return groups
  }

  /// The share of pairs of a target and a source response in which the target's forecast is higher, ties counting one half
  /// (Mann and Whitney 1947); 0.5 where there are no such pairs.
  private static func auc(_ groups: [Ties]) -> Double {
    var (sources, targets, wins) = (0.0, 0.0, 0.0)
    for group in groups {
      let (t, s) = (Double(group.targets), Double(group.count - group.targets))
      wins += t * (sources + 0.5 * s)
      targets += t
      sources += s
    }
    return sources * targets > 0 ? wins / (sources * targets) : 0.5
  }

  /// Bins that hold an equal number of forecasts as nearly as ties allow: equal forecasts share a bin.
  private static func reliability(_ groups: [Ties]) -> [(forecast: Double, share: Double, count: Int)] {
    let total = groups.reduce(0) { $0 + $1.count }
    var result: [(forecast: Double, share: Double, count: Int)] = []
    var (seen, binEnd) = (0, 0)
    var (sum, targets, count) = (0.0, 0, 0)
    for group in groups {
      if seen >= binEnd {
        binEnd = (seen * bins / total + 1) * total / bins
      }
      sum += group.score * Double(group.count)
      (targets, count, seen) = (targets + group.targets, count + group.count, seen + group.count)
      if seen >= binEnd {
        result.append((sum / Double(count), Double(targets) / Double(count), count))
        (sum, targets, count) = (0, 0, 0)
      }
    }
    return result
  }
}
