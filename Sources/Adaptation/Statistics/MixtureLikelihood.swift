import Kernels

#if canImport(Glibc)
  import Glibc
#endif

/// mean_t log Σ_l β_l·k(φ, c_l)/b_l as a function of mixture weights β on the simplex, where b_l is the source's mean of
/// k(·, c_l).
struct MixtureLikelihood {
  /// The target responses.
  let rows: [Int32]
  /// (L), log b.
  let logMeans: [Double]
  /// (rows, L), k/b, each row divided by its largest element, so that nothing overflows where the domains are far apart.
  private let kernels: DoubleMatrix
  /// (rows), the logarithms of those largest elements.
  private let logScales: [Double]

  /// - Parameters:
  ///   - distances: (rows, L), squared.
  ///   - means: (L), b.
  init(_ rows: [Int32], _ distances: DoubleMatrix, rate: Double, means: [Double]) {
    let logMeans = means.map { log($0) }
    var (kernels, logScales) = (distances, [Double](repeating: 0, count: rows.count))
    for row in rows.indices {
      for l in logMeans.indices { kernels[row, l] = -rate * distances[row, l] - logMeans[l] }
      logScales[row] = logMeans.indices.reduce(-.infinity) { max($0, kernels[row, $1]) }
      for l in logMeans.indices { kernels[row, l] = exp(kernels[row, l] - logScales[row]) }
    }
    (self.rows, self.logMeans, self.kernels, self.logScales) = (rows, logMeans, kernels, logScales)
  }

  /// The mean of log r over held-out folds of prompts, averaged over the folds; nil where none can be held out.
  func heldOut(_ folds: PromptFolds, tolerance: Double) -> Double? {
    let ofRow = rows.map { folds.folds.target[Int($0)] }
    let scores = (0..<folds.count).compactMap { fold -> Double? in
      let held = ofRow.count { $0 == fold }
      guard held > 0, held < rows.count else { return nil }
      let fit = maximum(over: ofRow.map { $0 != fold }, tolerance: tolerance)
      return value(at: Point(fit.weights, self), ofRow.map { $0 == fold ? 1 / Double(held) : 0 })
    }
    return scores.isEmpty ? nil : scores.reduce(0, +) / Double(scores.count)
  }
}

extension MixtureLikelihood {
  struct Maximum {
    /// β
    var weights: [Double]
    /// The mean of log r.
    var value: Double
    /// What the value lacks to the largest one at most, in nats.
    var gap: Double
    var steps: Int
  }

  /// The mixture weights of the largest likelihood of some rows, by the Newton Frank–Wolfe method (Liu, Cevher and Tran-Dinh
  /// 2020, arXiv 2002.07003, algorithm 1): each step maximises the quadratic model of the likelihood over the simplex by
  /// Frank–Wolfe steps, which need not look at the rows. It ends when the Frank–Wolfe duality gap is closed.
  func maximum(over isTaken: [Bool], tolerance: Double, maximumSteps: Int = 100) -> Maximum {
    let share = 1 / Double(isTaken.count { $0 })
    let shares = isTaken.map { $0 ? share : 0 }
    var point = Point([Double](repeating: 1 / Double(logMeans.count), count: logMeans.count), self)
    var (gap, steps) = (Double.infinity, 0)
    while steps < maximumSteps {
      let model = derivatives(at: point, shares)
      gap = max(0, (model.gradient.max() ?? 1) - 1)
      guard gap > tolerance, let next = advance(from: point, model, gap, shares) else { break }
      point = next
      steps += 1
    }
    return Maximum(weights: point.weights, value: value(at: point, shares), gap: gap, steps: steps)
  }

  private struct Point {
    var weights: [Double]
    /// (rows), Σ_l β_l·C_l with the scaled kernels C.
    var mixture: [Double]

    init(_ weights: [Double], _ likelihood: MixtureLikelihood) {
      self.weights = weights
      mixture = [Double](repeating: 0, count: likelihood.rows.count)
      DoubleProduct.multiply(likelihood.kernels, weights, into: &mixture)
    }

    /// The point some of the way to another one.
    func moved(towards other: Point, by length: Double) -> Point {
      var result = self
      result.weights = zip(weights, other.weights).map { (1 - length) * $0 + length * $1 }
      result.mixture = zip(mixture, other.mixture).map { (1 - length) * $0 + length * $1 }
      return result
    }
  }

  /// The mean of log r, in which each row has a share.
  private func value(at point: Point, _ shares: [Double]) -> Double {
    shares.indices.reduce(0) { sum, row in
      shares[row] > 0 ? sum + shares[row] * (log(point.mixture[row]) + logScales[row]) : sum
    }
  }

  /// The gradient Σ share·C/u and the negative Hessian Σ share·CCᵀ/u² with the mixture u; β·gradient is 1.
  private func derivatives(at point: Point, _ shares: [Double]) -> (gradient: [Double], curvature: DoubleMatrix) {
    var gradient = [Double](repeating: 0, count: logMeans.count)
    DoubleProduct.add(transposed: kernels, zip(shares, point.mixture).map { $0 > 0 ? $0 / $1 : 0 }, into: &gradient)
    var scaled = kernels
    FeatureRows.scale(&scaled, by: zip(shares, point.mixture).map { $0 > 0 ? $0.squareRoot() / $1 : 0 })
    var curvature = DoubleMatrix(rows: logMeans.count, columns: logMeans.count)
    DoubleProduct.addGram(of: scaled, into: &curvature)
    for i in logMeans.indices {
      for j in 0..<i { curvature[j, i] = curvature[i, j] }
    }
    return (gradient, curvature)
  }

  /// Goes towards the maximum of the quadratic model, half as far until the likelihood rises; nil where it no longer does.
  private func advance(
    from point: Point, _ model: (gradient: [Double], curvature: DoubleMatrix), _ gap: Double, _ shares: [Double]
  ) -> Point? {
    var quadratic = SimplexQuadratic(model.gradient, model.curvature, at: point.weights)
    quadratic.maximize(gap: 1e-3 * gap)
    let goal = Point(quadratic.point, self)
    let here = value(at: point, shares)
    let promise = zip(goal.weights, point.weights).enumerated().reduce(0) { sum, pair in
      sum + model.gradient[pair.offset] * (pair.element.0 - pair.element.1)
    }
    var length = 1.0
    while length > 0x1p-30 {
      let candidate = point.moved(towards: goal, by: length)
      let rounding = 1e-15 * (1 + abs(here))
      if value(at: candidate, shares) >= here + 1e-4 * length * promise - rounding { return candidate }
      length /= 2
    }
    return nil
  }
}

/// g·(p − β) − ½(p − β)ᵀH(p − β) as a function of p on the simplex.
private struct SimplexQuadratic {
  private(set) var point: [Double]
  private var gradient: [Double]
  private let curvature: DoubleMatrix

  init(_ gradient: [Double], _ curvature: DoubleMatrix, at point: [Double]) {
    (self.gradient, self.curvature, self.point) = (gradient, curvature, point)
  }

  /// Moves mass from the worst corner that has some to the best one, as far as the value rises: the pairwise Frank–Wolfe method
  /// (Lacoste-Julien and Jaggi 2015, arXiv 1511.05932, algorithm 2).
  mutating func maximize(gap: Double, maximumSteps: Int = 20_000) {
    for _ in 0..<maximumSteps {
      let (best, worst) = corners()
      let mean = zip(point, gradient).reduce(0) { $0 + $1.0 * $1.1 }
      if gradient[best] - mean <= gap { return }
      let bend = curvature[best, best] + curvature[worst, worst] - 2 * curvature[best, worst]
      let length = bend > 0 ? (gradient[best] - gradient[worst]) / bend : .infinity
      let mass = min(point[worst], length)
      point[best] += mass
      point[worst] -= mass
      for i in gradient.indices { gradient[i] -= mass * (curvature[best, i] - curvature[worst, i]) }
    }
  }

  private func corners() -> (best: Int, worst: Int) {
    var (best, worst) = (0, -1)
    for i in gradient.indices {
      if gradient[i] > gradient[best] { best = i }
      if point[i] > 0, worst < 0 || gradient[i] < gradient[worst] { worst = i }
    }
    return (best, worst)
  }
}
