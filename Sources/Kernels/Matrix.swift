import AlignmentCore
import COpenBLAS

/// A row-major matrix that somebody else owns; `stride` floats lie between the starts of two rows.
package struct Matrix {
  package let base: UnsafeMutablePointer<Float>
  package let rows: Int
  package let columns: Int
  package let stride: Int
  /// Whether a product shall read the matrix as its transpose.
  package private(set) var isTransposed = false

  package init(_ base: UnsafeMutablePointer<Float>, rows: Int, columns: Int, stride: Int? = nil) {
    self.base = base
    self.rows = rows
    self.columns = columns
    self.stride = stride ?? columns
  }

  /// A dense matrix over a view; the view must hold `rows` × `columns` floats at least.
  package init(_ view: FloatView, rows: Int, columns: Int) {
    precondition(rows * columns <= view.count, "matrix \(rows)×\(columns) exceeds view of \(view.count)")
    self.init(view.base, rows: rows, columns: columns)
  }

  /// Some of the rows.
  package func rows(_ range: Range<Int>) -> Matrix {
    Matrix(base + range.lowerBound * stride, rows: range.count, columns: columns, stride: stride)
  }

  /// Some of the columns.
  package func columns(_ range: Range<Int>) -> Matrix {
    Matrix(base + range.lowerBound, rows: rows, columns: range.count, stride: stride)
  }

  /// The same memory, read as its transpose by ``Product/multiply(_:_:into:keeping:scale:)``.
  package var transposed: Matrix {
    var result = self
    result.isTransposed.toggle()
    return result
  }

  /// The address of a row.
  @inline(__always)
  package func row(_ index: Int) -> UnsafeMutablePointer<Float> { base + index * stride }
}

/// Matrix products by OpenBLAS.
package enum Product {
  /// C ← `scale`·A·B + `keeping`·C
  ///
  /// - Parameters:
  ///   - keeping: 0 overwrites C, 1 adds to it.
  package static func multiply(_ a: Matrix, _ b: Matrix, into c: Matrix, keeping: Float = 0, scale: Float = 1) {
    let inner = a.isTransposed ? a.rows : a.columns
    assert((a.isTransposed ? a.columns : a.rows) == c.rows, "rows of A and C differ")
    assert((b.isTransposed ? b.rows : b.columns) == c.columns, "columns of B and C differ")
    assert((b.isTransposed ? b.columns : b.rows) == inner, "inner dimensions differ")
    guard c.rows > 0, c.columns > 0 else { return }
    cblas_sgemm(
      CblasRowMajor, a.isTransposed ? CblasTrans : CblasNoTrans, b.isTransposed ? CblasTrans : CblasNoTrans,
      blasint(c.rows), blasint(c.columns), blasint(inner), scale, a.base, blasint(max(1, a.stride)),
      b.base, blasint(max(1, b.stride)),
      keeping, c.base, blasint(c.stride))
  }
}
