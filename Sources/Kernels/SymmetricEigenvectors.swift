import COpenBLAS

/// Eigenvectors of symmetric matrices in Float64, by LAPACK's `dsyevr` (Dhillon, Parlett and Vömel 2006, "The design and
/// implementation of the MRRR algorithm").
package struct SymmetricEigenvectors {
  /// The largest eigenvalues, largest first.
  package let values: [Double]
  /// (count, n) unit vectors that belong to them, row-major; the element of largest magnitude of each is positive.
  package private(set) var vectors: [Double]

  /// - Parameters:
  ///   - matrix: (n, n); only its lower triangle is read.
  ///   - count: how many to find, from 1 to n.
  /// - Returns: nil where the matrix is not finite.
  package init?(largest count: Int, of matrix: DoubleMatrix) {
    let n = matrix.columns
    precondition(matrix.rows == n && (1...n).contains(count), "\(count) eigenvectors of \(matrix.rows) by \(n)")
    guard matrix.elements.allSatisfy(\.isFinite) else { return nil }
    var problem = Problem(matrix.elements, n: n, first: n - count + 1)
    guard problem.solve() else { return nil }
    values = problem.values[..<count].reversed()
    vectors = (0..<count).reversed().flatMap { problem.vectors[$0 * n..<($0 + 1) * n] }
    for row in 0..<count { fixSign(of: row * n..<(row + 1) * n) }
  }

  /// A vector and its negative are equally good: which one is found must not be left to chance.
  private mutating func fixSign(of range: Range<Int>) {
    guard let largest = range.max(by: { abs(vectors[$0]) < abs(vectors[$1]) }), vectors[largest] < 0 else { return }
    for index in range { vectors[index].negate() }
  }
}

/// The arguments of a call of `dsyevr` for the eigenvalues from a number on, ascending, counted from 1.
private struct Problem {
  private var matrix: [Double]
  private let n: blasint
  private let first: blasint
  private(set) var values: [Double]
  /// One vector after the other.
  private(set) var vectors: [Double]

  init(_ matrix: [Double], n: Int, first: Int) {
    self.matrix = matrix
    self.n = blasint(n)
    self.first = blasint(first)
    values = [Double](repeating: 0, count: n)
    vectors = [Double](repeating: 0, count: n * (n - first + 1))
  }

  /// Whether LAPACK found what it was asked for.
  mutating func solve() -> Bool {
    // The first call asks how much memory the second one needs.
    var (work, integers) = ([0.0], [blasint(0)])
    guard call(&work, -1, &integers, -1) else { return false }
    work = [Double](repeating: 0, count: Int(work[0]))
    integers = [blasint](repeating: 0, count: Int(integers[0]))
    return call(&work, blasint(work.count), &integers, blasint(integers.count))
  }

  private mutating func call(
    _ work: inout [Double], _ workCount: blasint, _ integers: inout [blasint], _ integerCount: blasint
  ) -> Bool {
    // Row-major lower is column-major upper.
    let (wantsVectors, byIndex, upper) = (CChar(86), CChar(73), CChar(85))
    var (found, status) = (blasint(0), blasint(0))
    var support = [blasint](repeating: 0, count: 2 * Int(n))
    withUnsafePointer(to: n) { n in
      withUnsafePointer(to: first) { first in
        var (none, workCount, integerCount) = (0.0, workCount, integerCount)
        dsyevr_(
          [wantsVectors], [byIndex], [upper], n, &matrix, n, nil, nil, first, n, &none, &found, &values, &vectors, n,
          &support, &work, &workCount, &integers, &integerCount, &status)
      }
    }
    return status == 0 && (workCount < 0 || found == n - first + 1)
  }
}
