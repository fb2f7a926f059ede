#if canImport(Glibc)
  import Glibc
#endif

extension WeightSpread {
  init(_ logs: LogWeights) {
    let sorted = logs.normalized.kept.sorted()
    effectiveShare = logs.effectiveShare()
    maxShare = logs.maxShare
    quantiles = Self.probabilities.map { Self.quantile(sorted, $0) }
    histogram = Histogram(sorted)
  }

  /// Linear interpolation between order statistics (Hyndman and Fan 1996, definition 7).
  private static func quantile(_ sorted: [Double], _ probability: Double) -> Double {
    let position = probability * Double(sorted.count - 1)
    let below = Int(position)
    let above = min(below + 1, sorted.count - 1)
    return sorted[below] + (position - Double(below)) * (sorted[above] - sorted[below])
  }
}

extension Histogram {
  /// Of finite values, from the least to the greatest; equal values are all in the first bin.
  init(_ values: [Double]) {
    low = values.min() ?? 0
    high = values.max() ?? 0
    counts = [Int](repeating: 0, count: Self.bins)
    let width = (high - low) / Double(Self.bins)
    for value in values { counts[width > 0 ? min(Int((value - low) / width), Self.bins - 1) : 0] += 1 }
  }
}

extension ParetoTail {
  /// - Parameters:
  ///   - logs: what was smoothed, in its order.
  init?(_ smoothing: ParetoSmoothing, of logs: [Double], count: Int) {
    guard let shape = smoothing.shape, let last = smoothing.tail.last else { return nil }
    // Where the mean over all examples is 1; the dropped ones count.
    let shift = logs.logMeanExp() + log(Double(logs.count) / Double(count))
    self.shape = shape
    reliableShape = ParetoSmoothing.reliableShape(of: logs.count)
    let places = Self.evenly(smoothing.tail.count)
    observed = places.map { logs[smoothing.tail[$0]] - shift }
    fitted = smoothing.fitted.isEmpty ? [] : places.map { logs[last] + smoothing.fitted[$0] - shift }
  }

  /// At most ``points`` places of so many, evenly, the last one among them.
  private static func evenly(_ count: Int) -> [Int] {
    guard count > points else { return Array(0..<count) }
    return (0..<points).map { $0 * (count - 1) / (points - 1) }
  }
}

/// Pearson's correlation; nil where either is constant.
func correlation(_ x: [Double], _ y: [Double]) -> Double? {
  let count = Double(x.count)
  let (meanX, meanY) = (x.compensatedSum() / count, y.compensatedSum() / count)
  let covariance = zip(x, y).lazy.map { ($0 - meanX) * ($1 - meanY) }.compensatedSum()
  let varianceX = x.lazy.map { ($0 - meanX) * ($0 - meanX) }.compensatedSum()
  let varianceY = y.lazy.map { ($0 - meanY) * ($0 - meanY) }.compensatedSum()
  guard varianceX > 0, varianceY > 0 else { return nil }
  return covariance / (varianceX * varianceY).squareRoot()
}
