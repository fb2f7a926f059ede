import COpenBLAS

/// A row-major matrix of Float64 that owns its elements.
package struct DoubleMatrix: Sendable, Equatable {
  /// Rows in use; no more than there were at first, so that one matrix serves blocks of rows of which the last is short.
  package var rows: Int {
    didSet { precondition(rows * columns <= elements.count, "\(rows) rows in a matrix of \(elements.count) elements") }
  }
  package let columns: Int
  package var elements: [Double]

  /// A matrix of zeros.
  package init(rows: Int, columns: Int) {
    (self.rows, self.columns) = (rows, columns)
    elements = [Double](repeating: 0, count: rows * columns)
  }

  @inlinable package subscript(row: Int, column: Int) -> Double {
    get { elements[row * columns + column] }
    set { elements[row * columns + column] = newValue }
  }

  /// All elements become 0.
  package mutating func clear() {
    for i in elements.indices { elements[i] = 0 }
  }

  /// self += other · factor
  package mutating func add(_ other: DoubleMatrix, scaledBy factor: Double = 1) {
    precondition(other.columns == columns && other.rows == rows, "matrices of different shapes")
    let count = Int32(rows * columns)
    elements.withUnsafeMutableBufferPointer { cblas_daxpy(count, factor, other.elements, 1, $0.baseAddress, 1) }
  }
}

/// Products of Float64 matrices by OpenBLAS.
package enum DoubleProduct {
  /// C ← A·Bᵀ
  package static func multiply(_ a: DoubleMatrix, transposed b: DoubleMatrix, into c: inout DoubleMatrix) {
    precondition(a.columns == b.columns && a.rows == c.rows && b.rows == c.columns, "shapes do not fit")
    guard c.rows > 0, c.columns > 0 else { return }
    let (m, n, k) = (blasint(a.rows), blasint(b.rows), blasint(a.columns))
    c.elements.withUnsafeMutableBufferPointer {
      cblas_dgemm(
        CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1, a.elements, max(1, k), b.elements, max(1, k), 0,
        $0.baseAddress, n)
    }
  }

  /// Adds AᵀA to the lower triangle of C.
  package static func addGram(of a: DoubleMatrix, into c: inout DoubleMatrix) {
    precondition(c.rows == a.columns && c.columns == a.columns, "shapes do not fit")
    guard a.columns > 0 else { return }
    let (n, k) = (blasint(a.columns), blasint(a.rows))
    c.elements.withUnsafeMutableBufferPointer {
      cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, n, k, 1, a.elements, n, 1, $0.baseAddress, n)
    }
  }

  /// y ← A·x, in the first elements of y.
  package static func multiply(_ a: DoubleMatrix, _ x: [Double], into y: inout [Double]) {
    precondition(x.count == a.columns && y.count >= a.rows, "shapes do not fit")
    for row in 0..<a.rows { y[row] = 0 }
    gemv(CblasNoTrans, a, x, &y)
  }

  /// y += Aᵀ·x, with the first elements of x.
  package static func add(transposed a: DoubleMatrix, _ x: [Double], into y: inout [Double]) {
    precondition(x.count >= a.rows && y.count == a.columns, "shapes do not fit")
    gemv(CblasTrans, a, x, &y)
  }

  private static func gemv(_ reading: CBLAS_TRANSPOSE, _ a: DoubleMatrix, _ x: [Double], _ y: inout [Double]) {
    guard a.rows > 0, a.columns > 0 else { return }
    let (m, n) = (blasint(a.rows), blasint(a.columns))
    y.withUnsafeMutableBufferPointer {
      cblas_dgemv(CblasRowMajor, reading, m, n, 1, a.elements, n, x, 1, 1, $0.baseAddress, 1)
    }
  }
}
