import Kernels
import Testing

/// Eigenvectors against matrices that are made of known ones.
@Suite struct SymmetricEigenvectorsTests {
  // LAPACK's residual is a few units of rounding of the largest eigenvalue, which is below 100 here.
  static let tolerance = 1e-12

  /// A symmetric matrix with known eigenvalues: V·diag·Vᵀ for the Householder reflection V along (1, 2, …, n).
  private func matrix(_ values: [Double]) -> (full: DoubleMatrix, vectors: [[Double]]) {
    let n = values.count
    let axis = (1...n).map(Double.init)
    let squared = axis.reduce(0) { $0 + $1 * $1 }
    let vectors = (0..<n).map { k in (0..<n).map { i in (i == k ? 1 : 0) - 2 * axis[i] * axis[k] / squared } }
    var full = DoubleMatrix(rows: n, columns: n)
    for i in 0..<n {
      for j in 0..<n { full[i, j] = (0..<n).reduce(0) { $0 + values[$1] * vectors[$1][i] * vectors[$1][j] } }
    }
    return (full, vectors)
  }

  @Test(arguments: [1, 2, 3, 7, 40], [1, 2, 7, 40])
  func findsTheLargestEigenvaluesAndTheirVectors(n: Int, count: Int) throws {
    guard count <= n else { return }
    let values = (0..<n).map { 50 - 1.25 * Double($0 * 11 % n) }
    let (full, vectors) = matrix(values)
    let found = try #require(SymmetricEigenvectors(largest: count, of: full))
    let order = values.indices.sorted { values[$0] > values[$1] }
    for (k, index) in order.prefix(count).enumerated() {
      #expect(abs(found.values[k] - values[index]) < Self.tolerance * 50)
      let own = found.vectors[k * n..<(k + 1) * n]
      let largest = try #require(own.max { abs($0) < abs($1) })
      #expect(largest > 0)
      // The expected vector with the sign of the one that was found.
      let sign = zip(own, vectors[index]).reduce(0) { $0 + $1.0 * $1.1 } < 0 ? -1.0 : 1
      #expect(zip(own, vectors[index]).allSatisfy { abs($0 - sign * $1) < 1e-11 })
    }
  }

  @Test func theUpperTriangleIsNotRead() {
    let (full, _) = matrix([5, 4, 3, 2, 1])
    var lower = full
    for i in 0..<5 { for j in 0..<i { lower[j, i] = 1e9 } }
    let (a, b) = (SymmetricEigenvectors(largest: 2, of: full), SymmetricEigenvectors(largest: 2, of: lower))
    #expect(a?.values == b?.values && a?.vectors == b?.vectors)
  }

  @Test(arguments: [Double.nan, .infinity])
  func whatIsNotFiniteHasNone(value: Double) {
    var matrix = DoubleMatrix(rows: 2, columns: 2)
    matrix.elements = [1, value, value, 1]
    #expect(SymmetricEigenvectors(largest: 1, of: matrix) == nil)
  }
}
