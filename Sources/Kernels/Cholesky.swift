import CSIMD

/// The factor L of A = L·Lᵀ for a symmetric positive definite A of Float64.
package struct Cholesky: Sendable {
  private var factor: DoubleMatrix

  /// Reads the lower triangle of a matrix; nil where the matrix is not positive definite to working precision.
  ///
  /// - Parameter shift: what is added to the diagonal.
  package init?(_ matrix: DoubleMatrix, shift: Double = 0) {
    precondition(matrix.rows == matrix.columns, "a \(matrix.rows)×\(matrix.columns) matrix is not symmetric")
    factor = matrix
    let n = matrix.rows
    let isPositive = factor.elements.withUnsafeMutableBufferPointer { a in
      (0..<n).allSatisfy { Self.eliminate($0, of: a, size: n, shift: shift) }
    }
    if !isPositive { return nil }
  }

  /// Replaces a row by its row of the factor; the rows before it have been replaced.
  private static func eliminate(
    _ row: Int, of a: UnsafeMutableBufferPointer<Double>, size n: Int, shift: Double
  ) -> Bool {
    guard let base = a.baseAddress else { return true }
    let this = base + row * n
    for column in 0..<row {
      let other = base + column * n
      this[column] = (this[column] - dot(this, other, count: column)) / other[column]
    }
    let diagonal = this[row] + shift
    let pivot = diagonal - dot(this, this, count: row)
    // What rounding leaves of a dependent column is no pivot.
    guard pivot > 0x1p-50 * diagonal, pivot.isFinite else { return false }
    this[row] = pivot.squareRoot()
    return true
  }

  /// x with A·x = b.
  package func solve(_ b: [Double]) -> [Double] {
    let n = factor.rows
    precondition(b.count == n, "\(b.count) right-hand sides for \(n) rows")
    var x = b
    factor.elements.withUnsafeBufferPointer { a in
      x.withUnsafeMutableBufferPointer { x in
        guard let base = a.baseAddress, let x = x.baseAddress else { return }
        for row in 0..<n { x[row] = (x[row] - dot(base + row * n, x, count: row)) / base[row * n + row] }
        for row in (0..<n).reversed() {
          x[row] /= base[row * n + row]
          for column in 0..<row { x[column] -= base[row * n + column] * x[row] }
        }
      }
    }
    return x
  }
}

/// ⟨a, b⟩ in eight lanes.
@inline(__always)
private func dot(_ a: UnsafePointer<Double>, _ b: UnsafePointer<Double>, count: Int) -> Double {
  var sums = DoubleVector.zero
  forEachDoubleVector(in: count) { i, lanes in
    sums = simd_fma_double(load(a + i, lanes), load(b + i, lanes), sums)
  }
  return sums.sum()
}
