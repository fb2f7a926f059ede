#if canImport(Glibc)
  import Glibc
#endif

/// The generalised Pareto distribution with P(X > x) = (1 + k·x/σ)^(−1/k), x ≥ 0.
struct GeneralizedPareto: Sendable, Equatable {
  /// k
  var shape: Double
  /// σ
  var scale: Double

  /// The fit of Zhang and Stephens 2009 (Technometrics 51): σ = −k/b with the posterior mean of b over a grid; then the
  /// shape is drawn towards ½ as by ten more observations (Vehtari et al. 2024, arXiv 1507.02646, appendix).
  ///
  /// Not finite where a quarter of the values is 0.
  ///
  /// - Parameters:
  ///   - values: at least five, ascending, none negative, the last one positive.
  init(fitting values: [Double]) {
    let count = values.count
    let grid = 30 + Int(Double(count).squareRoot())
    let quartile = values[Int(Double(count) / 4 + 0.5) - 1]
    var candidates = (1...grid).map { j in
      (1 - (Double(grid) / (Double(j) - 0.5)).squareRoot()) / (3 * quartile) + 1 / values[count - 1]
    }
    let logLikelihoods = candidates.map { b in
      let k = Self.meanLog1p(values, -b)
      return Double(count) * (log(-b / k) - k - 1)
    }
    let total = logLikelihoods.logSumExp()
    var posterior = logLikelihoods.map { exp($0 - total) }
    // A weight below rounding error would only add the noise of its candidate.
    let real = posterior.indices.filter { posterior[$0] >= 10 * Double.ulpOfOne }
    candidates = real.map { candidates[$0] }
    posterior = real.map { posterior[$0] }
    let mass = posterior.compensatedSum()
    let b = zip(candidates, posterior).map { $0 * $1 / mass }.compensatedSum()
    let k = Self.meanLog1p(values, -b)
    scale = -k / b
    shape = (Double(count) * k + 5) / (Double(count) + 10)
  }

  private static func meanLog1p(_ values: [Double], _ factor: Double) -> Double {
    values.lazy.map { log1p(factor * $0) }.compensatedSum() / Double(values.count)
  }

  /// The value that is not exceeded with a probability.
  func quantile(_ probability: Double) -> Double {
    let exponential = -log1p(-probability)
    return shape == 0 ? scale * exponential : scale * expm1(shape * exponential) / shape
  }
}

/// Pareto-smoothed importance sampling (Vehtari, Simpson, Gelman, Yao and Gabry 2024, arXiv 1507.02646, algorithm 1).
///
/// Never fails: where there is no tail to fit, the weights stay as they are.
package struct ParetoSmoothing: Sendable {
  /// Shape of the tail; nil where there is none to fit: fewer than 25 weights, or a tail that is constant or begins
  /// with many equal weights. +∞ where it is wider than Float64.
  package let shape: Double?
  /// Places of the tail in the weights, by ascending weight; empty where there is none to fit.
  package let tail: [Int]
  /// The quantiles of the fitted tail in log space where the largest weight is 1, ascending; empty where the shape is
  /// not finite.
  package let fitted: [Double]

  /// Number of weights that make the tail of so many.
  static func tailCount(of count: Int) -> Int {
    count > 225 ? Int(3 * Double(count).squareRoot()) : count / 5
  }

  /// Above this shape, the mean of so many weights cannot be relied on (Vehtari et al. 2024, §3).
  static func reliableShape(of count: Int) -> Double { min(1 - 1 / log10(Double(count)), 0.7) }

  /// Fits the tail of weights.
  ///
  /// - Parameters:
  ///   - logWeights: all finite.
  package init(_ logWeights: [Double]) {
    let count = Self.tailCount(of: logWeights.count)
    let order = logWeights.indices.sorted { (logWeights[$0], $0) < (logWeights[$1], $1) }
    let tail = Array(order.suffix(count))
    guard count >= 5, let largest = tail.last.map({ logWeights[$0] }),
      largest - logWeights[tail[0]] >= Double.leastNormalMagnitude
    else {
      (shape, self.tail, fitted) = (nil, [], [])
      return
    }
    let cutoff = logWeights[order[order.count - count - 1]]
    let base = exp(cutoff - largest)
    let pareto = GeneralizedPareto(fitting: tail.map { exp(logWeights[$0] - largest) - base })
    guard pareto.shape.isFinite, pareto.scale > 0 else {
      // The values at the quartile are 0: equal to the cutoff, or too small for a Float64.
      let isWide = logWeights[tail[Int(Double(count) / 4 + 0.5) - 1]] > cutoff
      (shape, self.tail, fitted) = (isWide ? .infinity : nil, isWide ? tail : [], [])
      return
    }
    shape = pareto.shape
    self.tail = tail
    fitted = (0..<count).map { log(base + pareto.quantile((Double($0) + 0.5) / Double(count))) }
  }

  /// The log-weights with the fitted quantiles in their tail, none above the largest raw one.
  package func smoothed(_ logWeights: [Double]) -> [Double] {
    guard !fitted.isEmpty, let last = tail.last else { return logWeights }
    var result = logWeights
    for (place, value) in zip(tail, fitted) { result[place] = logWeights[last] + min(value, 0) }
    return result
  }
}
