import AlignmentCore
import CSIMD

/// C (+)= A·B where B has few columns, such as the D columns of an attention head.
///
/// Four rows of A and two vectors of B's columns stay in registers while the inner dimension runs; B is read in place,
/// without packing, because its rows are contiguous. (OpenBLAS 0.3.21 allocates a packing buffer for each small product
/// of this shape.)
package enum NarrowProduct {
  /// - Parameters:
  ///   - a: (m, k)
  ///   - b: (k, n)
  ///   - c: (m, n)
  ///   - adding: whether C is added to or overwritten.
  package static func multiply(_ a: Matrix, _ b: Matrix, into c: Matrix, adding: Bool) {
    assert(a.columns == b.rows && a.rows == c.rows && b.columns == c.columns, "shapes do not fit")
    let pair = 2 * Vector.lanes
    var column = 0
    while column + pair <= c.columns {
      forEachRowBlock(c.rows) { row, rows in
        if rows == 4 { fourByTwo(a, b, c, row, column, adding) } else { oneByTwo(a, b, c, row, column, adding) }
      }
      column += pair
    }
    while column < c.columns {
      let lanes = min(Vector.lanes, c.columns - column)
      forEachRowBlock(c.rows) { row, rows in
        for r in row..<row + rows { oneByOne(a, b, c, r, column, lanes, adding) }
      }
      column += lanes
    }
  }

  /// Blocks of four rows, then single rows.
  @inline(__always)
  private static func forEachRowBlock(_ rows: Int, _ body: (_ row: Int, _ count: Int) -> Void) {
    var row = 0
    while row + 4 <= rows {
      body(row, 4)
      row += 4
    }
    while row < rows {
      body(row, 1)
      row += 1
    }
  }

  @inline(__always)
  private static func fourByTwo(_ a: Matrix, _ b: Matrix, _ c: Matrix, _ row: Int, _ column: Int, _ adding: Bool) {
    var (s00, s01, s10, s11) = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)
    var (s20, s21, s30, s31) = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)
    let (a0, a1, a2, a3) = (a.row(row), a.row(row + 1), a.row(row + 2), a.row(row + 3))
    var source = b.base + column
    for k in 0..<b.rows {
      let (b0, b1) = (Vector(at: source), Vector(at: source + Vector.lanes))
      source += b.stride
      let (x0, x1) = (Vector(repeating: a0[k]), Vector(repeating: a1[k]))
      let (x2, x3) = (Vector(repeating: a2[k]), Vector(repeating: a3[k]))
      (s00, s01) = (simd_fma(x0, b0, s00), simd_fma(x0, b1, s01))
      (s10, s11) = (simd_fma(x1, b0, s10), simd_fma(x1, b1, s11))
      (s20, s21) = (simd_fma(x2, b0, s20), simd_fma(x2, b1, s21))
      (s30, s31) = (simd_fma(x3, b0, s30), simd_fma(x3, b1, s31))
    }
    put(s00, s01, c.row(row) + column, adding)
    put(s10, s11, c.row(row + 1) + column, adding)
    put(s20, s21, c.row(row + 2) + column, adding)
    put(s30, s31, c.row(row + 3) + column, adding)
  }

  @inline(__always)
  private static func oneByTwo(_ a: Matrix, _ b: Matrix, _ c: Matrix, _ row: Int, _ column: Int, _ adding: Bool) {
    var (s0, s1) = (Vector.zero, Vector.zero)
    for k in 0..<b.rows {
      let (source, x) = (b.row(k) + column, Vector(repeating: a.row(row)[k]))
      (s0, s1) = (simd_fma(x, Vector(at: source), s0), simd_fma(x, Vector(at: source + Vector.lanes), s1))
    }
    put(s0, s1, c.row(row) + column, adding)
  }

  @inline(__always)
  private static func oneByOne(
    _ a: Matrix, _ b: Matrix, _ c: Matrix, _ row: Int, _ column: Int, _ lanes: Int, _ adding: Bool
  ) {
    var sum = Vector.zero
    for k in 0..<b.rows {
      sum = simd_fma(Vector(repeating: a.row(row)[k]), load(b.row(k) + column, lanes), sum)
    }
    let target = c.row(row) + column
    store(adding ? sum + load(target, lanes) : sum, target, lanes)
  }

  @inline(__always)
  private static func put(_ low: Vector, _ high: Vector, _ target: UnsafeMutablePointer<Float>, _ adding: Bool) {
    (adding ? low + Vector(at: target) : low).store(at: target)
    let second = target + Vector.lanes
    (adding ? high + Vector(at: second) : high).store(at: second)
  }
}
