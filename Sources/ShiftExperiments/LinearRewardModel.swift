import Kernels

#if canImport(Glibc)
  import Glibc
#endif

/// Comparisons that a linear reward model learns from, row by row.
package struct ComparisonRows: Sendable {
  /// φ(first) − φ(second): rows × features.
  package let features: DoubleMatrix
  /// q of each row, the probability that the first is better.
  package let targets: [Double]
  /// w of each row.
  package let weights: [Double]

  /// - Parameter weights: 1 for every row if nil.
  package init(_ features: DoubleMatrix, targets: [Double], weights: [Double]? = nil) {
    precondition(features.rows == targets.count, "\(targets.count) targets for \(features.rows) rows")
    precondition(weights.map { $0.count == targets.count } ?? true, "weights must have \(targets.count) rows")
    self.features = features
    self.targets = targets
    self.weights = weights ?? [Double](repeating: 1, count: targets.count)
  }

  package var count: Int { targets.count }

  /// Both sets of rows, one after the other.
  package static func + (a: ComparisonRows, b: ComparisonRows) -> ComparisonRows {
    var features = DoubleMatrix(rows: a.count + b.count, columns: a.features.columns)
    features.elements = a.features.elements + b.features.elements
    return ComparisonRows(features, targets: a.targets + b.targets, weights: a.weights + b.weights)
  }
}

/// r(y) = θ·φ(y), trained as Bradley and Terry's model (1952).
package struct LinearRewardModel: Sendable {
  /// θ
  package let coefficients: [Double]

  /// The minimum of Σ w·[q·log(1 + e^−Δ) + (1−q)·log(1 + e^Δ)] + ½·ridge·|θ|², Δ = θ·(φ₁ − φ₂), by Newton's method with
  /// halved steps where a whole one goes too far. The loss is strictly convex: there is one minimum.
  package init(fitting rows: ComparisonRows, ridge: Double) {
    precondition(ridge > 0, "a ridge above 0 makes the minimum unique")
    var newton = NewtonFit(rows, ridge: ridge)
    while newton.step() {}
    coefficients = newton.coefficients
  }

  /// θ·φ of each row of features; equal rows have equal scores, bit for bit, which a product by BLAS does not promise.
  package func scores(_ features: DoubleMatrix) -> [Double] {
    let width = features.columns
    precondition(width == coefficients.count, "\(width) features for \(coefficients.count) coefficients")
    return features.elements.withUnsafeBufferPointer { rows in
      (0..<features.rows).map { row in
        var sum = 0.0
        for column in 0..<width { sum += rows[row * width + column] * coefficients[column] }
        return sum
      }
    }
  }
}

extension DoubleMatrix {
  fileprivate static func * (matrix: DoubleMatrix, vector: [Double]) -> [Double] {
    var result = [Double](repeating: 0, count: matrix.rows)
    DoubleProduct.multiply(matrix, vector, into: &result)
    return result
  }
}

/// A minimum on its way.
private struct NewtonFit {
  /// Steps that promise less than this share of the loss are rounding.
  private static let tolerance = 1e-14

  private let rows: ComparisonRows
  private let ridge: Double
  private(set) var coefficients: [Double]
  /// θ·(φ₁ − φ₂) of each row.
  private var gaps: [Double]
  private var loss: Double

  init(_ rows: ComparisonRows, ridge: Double) {
    self.rows = rows
    self.ridge = ridge
    coefficients = [Double](repeating: 0, count: rows.features.columns)
    gaps = [Double](repeating: 0, count: rows.count)
    loss = .infinity
    loss = loss(coefficients, gaps)
  }

  private func loss(_ coefficients: [Double], _ gaps: [Double]) -> Double {
    let data = gaps.indices.reduce(0) { $0 + rows.weights[$1] * crossEntropy(gaps[$1], target: rows.targets[$1]) }
    return data + 0.5 * ridge * coefficients.reduce(0) { $0 + $1 * $1 }
  }

  /// Takes a step; false at the minimum.
  mutating func step() -> Bool {
    let gradient = self.gradient
    guard let hessian = Cholesky(hessian, shift: ridge) else { return false }
    let direction = hessian.solve(gradient)
    let promise = 0.5 * zip(gradient, direction).reduce(0) { $0 + $1.0 * $1.1 }
    guard promise > Self.tolerance * loss else { return false }
    let slopes = rows.features * direction
    for halvings in 0..<30 {
      let length = 1 / Double(1 << halvings)
      let next = zip(coefficients, direction).map { $0 - length * $1 }
      let nextGaps = zip(gaps, slopes).map { $0 - length * $1 }
      let nextLoss = loss(next, nextGaps)
      if nextLoss < loss {
        (coefficients, gaps, loss) = (next, nextGaps, nextLoss)
        return true
      }
    }
    return false
  }

  private var gradient: [Double] {
    var gradient = coefficients.map { ridge * $0 }
    let slopes = gaps.indices.map { rows.weights[$0] * (sigmoid(gaps[$0]) - rows.targets[$0]) }
    DoubleProduct.add(transposed: rows.features, slopes, into: &gradient)
    return gradient
  }

  /// The second derivatives of the data's part.
  private var hessian: DoubleMatrix {
    var scaled = rows.features
    FeatureRows.scale(
      &scaled, by: gaps.indices.map { (rows.weights[$0] * sigmoid(gaps[$0]) * sigmoid(-gaps[$0])).squareRoot() })
    var gram = DoubleMatrix(rows: scaled.columns, columns: scaled.columns)
    DoubleProduct.addGram(of: scaled, into: &gram)
    return gram
  }
}

/// −q·log σ(gap) − (1−q)·log σ(−gap)
func crossEntropy(_ gap: Double, target: Double) -> Double {
  max(gap, 0) - target * gap + log1p(exp(-abs(gap)))
}

/// 1 / (1 + exp(−x))
func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
