#if canImport(Glibc)
  import Glibc
#endif

/// r(y) = θ·φ(y) of many sparse features, trained as Bradley and Terry's model (1952).
package struct SparseRewardModel: Sendable {
  /// θ
  package private(set) var coefficients: [Double]

  /// The gradient's norm at the end, as a share of that at θ = 0.
  private static let tolerance = 1e-7
  private static let mostSteps = 50

  /// The minimum of Σ w·log(1 + e^−Δ) + ½·ridge·|θ|², Δ = θ·(φ(chosen) − φ(rejected)), by Newton's method, whose steps
  /// are found by conjugate gradients and need no Hessian (Nocedal and Wright 2006, "Numerical optimization", algorithm
  /// 7.1). The loss is strictly convex: there is one minimum.
  ///
  /// - Parameters:
  ///   - gaps: φ(chosen) − φ(rejected) of each pair.
  ///   - weights: w of each pair.
  package init(fitting gaps: SparseRows, weights: [Double], ridge: Double) {
    precondition(ridge > 0, "a ridge above 0 makes the minimum unique")
    precondition(weights.count == gaps.rows, "\(weights.count) weights for \(gaps.rows) pairs")
    var point = TruncatedNewton(gaps, weights, ridge)
    let bound = Self.tolerance * point.gradient.norm
    for _ in 0..<Self.mostSteps where point.gradient.norm > bound {
      guard point.step() else { break }
    }
    coefficients = point.coefficients
  }
}

/// A minimum on its way.
private struct TruncatedNewton {
  private let rows: SparseRows
  private let weights: [Double]
  private let ridge: Double
  private(set) var coefficients: [Double]
  private(set) var gradient: [Double] = []
  /// Δ of each pair.
  private var margins: [Double]
  private var loss = 0.0
  private let firstNorm: Double

  init(_ rows: SparseRows, _ weights: [Double], _ ridge: Double) {
    (self.rows, self.weights, self.ridge) = (rows, weights, ridge)
    coefficients = [Double](repeating: 0, count: rows.columns)
    margins = [Double](repeating: 0, count: rows.rows)
    loss = weights.reduce(0, +) * log(2)
    gradient = Self.gradient(rows, weights, margins, coefficients, ridge)
    firstNorm = gradient.norm
  }

  private static func gradient(
    _ rows: SparseRows, _ weights: [Double], _ margins: [Double], _ coefficients: [Double], _ ridge: Double
  ) -> [Double] {
    var gradient = coefficients.map { ridge * $0 }
    rows.addTransposed(zip(weights, margins).map { -$0 * sigmoid(-$1) }, into: &gradient)
    return gradient
  }

  private func loss(_ coefficients: [Double], _ margins: [Double]) -> Double {
    zip(weights, margins).reduce(0.5 * ridge * coefficients.dot(coefficients)) {
      $0 + $1.0 * crossEntropy($1.1, target: 1)
    }
  }

  /// Takes a step; false where rounding hides any further descent.
  mutating func step() -> Bool {
    let direction = newtonDirection()
    let slopes = rows * direction
    let promise = -gradient.dot(direction)
    for halvings in 0..<30 {
      let length = 1 / Double(1 << halvings)
      let next = coefficients.adding(direction, times: length)
      let nextMargins = margins.adding(slopes, times: length)
      let nextLoss = loss(next, nextMargins)
      if nextLoss <= loss - 1e-4 * length * promise {
        (coefficients, margins, loss) = (next, nextMargins, nextLoss)
        gradient = Self.gradient(rows, weights, margins, coefficients, ridge)
        return true
      }
    }
    return false
  }

  /// −H⁻¹g by conjugate gradients, the more exactly the nearer the minimum is.
  private func newtonDirection() -> [Double] {
    let curvatures = zip(weights, margins).map { $0 * sigmoid($1) * sigmoid(-$1) }
    let bound = gradient.norm * min(0.5, (gradient.norm / firstNorm).squareRoot())
    var direction = [Double](repeating: 0, count: gradient.count)
    var residual = gradient.map { -$0 }
    var search = residual
    var square = residual.dot(residual)
    for _ in 0..<rows.rows where square.squareRoot() > bound {
      var image = search.map { ridge * $0 }
      rows.addTransposed(zip(curvatures, rows * search).map(*), into: &image)
      let length = square / search.dot(image)
      direction = direction.adding(search, times: length)
      residual = residual.adding(image, times: -length)
      let next = residual.dot(residual)
      search = residual.adding(search, times: next / square)
      square = next
    }
    return direction
  }
}

extension [Double] {
  fileprivate func dot(_ other: [Double]) -> Double { indices.reduce(0) { $0 + self[$1] * other[$1] } }
  fileprivate var norm: Double { dot(self).squareRoot() }
  fileprivate func adding(_ other: [Double], times factor: Double) -> [Double] {
    indices.map { self[$0] + factor * other[$0] }
  }
}
