/// Statistics of predictions that are weighted: a weight of 2 counts as having the prediction twice.
///
/// What is not defined (no weight at all, a single class, no variance) is NaN.
package enum PredictionStatistics {
  /// A probability that something holds, and how far it does: 0, 1, or a soft label between them.
  package struct Forecast: Sendable {
    package var confidence: Double
    package var outcome: Double
    package var weight: Double

    package init(confidence: Double, outcome: Double, weight: Double = 1) {
      self.confidence = confidence
      self.outcome = outcome
      self.weight = weight
    }
  }

  /// A number that a model gave, what it should have been, and how much that counts.
  package struct Point: Sendable {
    package var predicted: Double
    package var actual: Double
    package var weight: Double

    package init(predicted: Double, actual: Double, weight: Double = 1) {
      self.predicted = predicted
      self.actual = actual
      self.weight = weight
    }
  }

  /// Expected calibration error Σ |accuracy − confidence|·share over bins of equal mass (Guo et al. 2017, arXiv 1706.04599,
  /// eq. 3; equal mass: Nguyen and O'Connor 2015, arXiv 1508.05154, §3).
  ///
  /// Forecasts of equal confidence share a bin, so the order of the data does not matter; fewer than `bins` forecasts have
  /// a bin each.
  package static func expectedCalibrationError(_ forecasts: [Forecast], bins: Int = 15) -> Double {
    let total = forecasts.reduce(0) { $0 + $1.weight }
    var sums = [(mass: Double, gap: Double)](repeating: (0, 0), count: bins)
    var below = 0.0
    for tie in ties(forecasts.sorted { $0.confidence < $1.confidence }, by: { $0.confidence }) {
      let mass = tie.reduce(0) { $0 + $1.weight }
      let bin = min(bins - 1, Int((Double(bins) * (below + mass / 2) / total).nanAsZero))
      sums[bin].mass += mass
      sums[bin].gap += tie.reduce(0) { $0 + $1.weight * ($1.outcome - $1.confidence) }
      below += mass
    }
    return sums.reduce(0) { $0 + abs($1.gap) } / total
  }

  /// Mean squared distance of confidence and outcome (Brier 1950, "Verification of forecasts expressed in terms of
  /// probability", for one of two classes).
  package static func brierScore(_ forecasts: [Forecast]) -> Double {
    let total = forecasts.reduce(0) { $0 + $1.weight }
    return forecasts.reduce(0) { $0 + $1.weight * ($1.confidence - $1.outcome) * ($1.confidence - $1.outcome) } / total
  }

  /// Probability that a positive has a higher score than a negative, a tie counted half (Hanley and McNeil 1982, "The
  /// meaning and use of the area under a receiver operating characteristic curve").
  package static func areaUnderCurve(_ scores: [(score: Double, isPositive: Bool, weight: Double)]) -> Double {
    var (negatives, positives, wins) = (0.0, 0.0, 0.0)
    for tie in ties(scores.sorted { $0.score < $1.score }, by: { $0.score }) {
      let good = tie.reduce(0) { $0 + ($1.isPositive ? $1.weight : 0) }
      let bad = tie.reduce(0) { $0 + ($1.isPositive ? 0 : $1.weight) }
      wins += good * (negatives + bad / 2)
      negatives += bad
      positives += good
    }
    return wins / (positives * negatives)
  }

  package static func meanSquaredError(_ points: [Point]) -> Double {
    let total = points.reduce(0) { $0 + $1.weight }
    return points.reduce(0) { $0 + $1.weight * ($1.predicted - $1.actual) * ($1.predicted - $1.actual) } / total
  }

  /// Pearson's correlation.
  package static func correlation(_ points: [Point]) -> Double {
    let total = points.reduce(0) { $0 + $1.weight }
    let means = (
      points.reduce(0) { $0 + $1.weight * $1.predicted } / total,
      points.reduce(0) { $0 + $1.weight * $1.actual } / total
    )
    var (xx, xy, yy) = (0.0, 0.0, 0.0)
    for point in points {
      let (x, y) = (point.predicted - means.0, point.actual - means.1)
      xx += point.weight * x * x
      xy += point.weight * x * y
      yy += point.weight * y * y
    }
    return xy / (xx.squareRoot() * yy.squareRoot())
  }

  /// Spearman's correlation: Pearson's of the ranks, equals having the mean of theirs.
  package static func rankCorrelation(_ points: [Point]) -> Double {
    let weights = points.map(\.weight)
    let (predicted, actual) = (ranks(points.map(\.predicted), weights), ranks(points.map(\.actual), weights))
    return correlation(
      points.indices.map { Point(predicted: predicted[$0], actual: actual[$0], weight: weights[$0]) })
  }

  /// The weight below each value, and half of that of its equals.
  private static func ranks(_ values: [Double], _ weights: [Double]) -> [Double] {
    var result = [Double](repeating: 0, count: values.count)
    var below = 0.0
    for tie in ties(values.indices.sorted { values[$0] < values[$1] }, by: { values[$0] }) {
      let mass = tie.reduce(0) { $0 + weights[$1] }
      for index in tie { result[index] = below + mass / 2 }
      below += mass
    }
    return result
  }

  /// Runs of equal keys of a sorted list.
  private static func ties<Element>(_ sorted: [Element], by key: (Element) -> Double) -> [ArraySlice<Element>] {
    var (runs, start) = ([ArraySlice<Element>](), 0)
    for index in sorted.indices where index + 1 == sorted.count || key(sorted[index + 1]) != key(sorted[start]) {
      runs.append(sorted[start...index])
      start = index + 1
    }
    return runs
  }
}

extension Double {
  /// 0 in place of NaN, which nothing divided by nothing is.
  fileprivate var nanAsZero: Double { isNaN ? 0 : self }
}
