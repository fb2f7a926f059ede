import AlignmentCore
import CSIMD

/// C (+)= A·Bᵀ where A has few rows, such as the newest token of each of several sequences, and B is a weight matrix.
///
/// B is read once and in place: eight of its rows at a time are multiplied with the transpose of A, whose columns fill
/// the lanes. (OpenBLAS packs B first, which for few rows of A takes as long as the product.) An element of C is one
/// chain of fused additions over the inner dimension, so a row of C does not depend on how many rows A has.
package enum SkinnyProduct {
  /// Rows of B whose results are turned into rows of C together.
  private static let band = 16
  /// Columns of the transposed A that stay in registers together.
  private static let wide = 2 * Vector.lanes

  /// Whether products are computed here; otherwise, where registers are too few or several threads are wanted, they go to
  /// OpenBLAS, whose rows may depend on their number.
  package static var isOwn: Bool { simd_has_many_registers() != 0 && BLAS.threads == 1 }

  /// Floats of scratch memory for products with up to so many rows of A and such an inner dimension.
  package static func scratchCount(rows: Int, inner: Int) -> Int {
    inner * padded(rows) + band * wide + band * Vector.lanes
  }

  /// - Parameters:
  ///   - a: (m, k)
  ///   - b: (n, k)
  ///   - c: (m, n)
  ///   - adding: whether C is added to or overwritten.
  package static func multiply(_ a: Matrix, _ b: Matrix, into c: Matrix, adding: Bool, scratch: FloatView) {
    assert(a.columns == b.columns && a.rows == c.rows && b.rows == c.columns, "shapes do not fit")
    guard isOwn else { return Product.multiply(a, b.transposed, into: c, keeping: adding ? 1 : 0) }
    let turned = Matrix(scratch, rows: a.columns, columns: padded(a.rows))
    let rest = scratch[turned.rows * turned.columns..<scratchCount(rows: a.rows, inner: a.columns)]
    let tile = Matrix(rest, rows: band, columns: wide)
    let corner = Matrix(rest[band * wide..<rest.count], rows: Vector.lanes, columns: band)
    turn(a, into: turned)
    var first = 0
    while first < b.rows {
      let rows = b.rows(first..<min(first + band, b.rows))
      var column = 0
      while column < turned.columns {
        fill(tile, rows, turned, column, isFirst: column == 0)
        put(tile, corner, rows.rows, into: c, firstRow: column, firstColumn: first, adding)
        column += wide
      }
      first += band
    }
  }

  private static func padded(_ rows: Int) -> Int { (rows + Vector.lanes - 1) / Vector.lanes * Vector.lanes }

  /// The transpose of A with its columns padded by zeros to whole vectors.
  private static func turn(_ a: Matrix, into turned: Matrix) {
    let lanes = Vector.lanes
    for row in stride(from: 0, to: turned.columns, by: lanes) {
      let count = min(lanes, a.rows - row)
      var k = 0
      while count == lanes, k + lanes <= a.columns {
        simd_transpose(a.row(row) + k, a.stride, turned.row(k) + row, turned.stride)
        k += lanes
      }
      while k < a.columns {
        let target = turned.row(k) + row
        for lane in 0..<lanes { target[lane] = lane < count ? a.row(row + lane)[k] : 0 }
        k += 1
      }
    }
  }

  /// tile (16, 32) ← some rows of B times one or two vectors of columns of the transposed A.
  @inline(__always)
  private static func fill(_ tile: Matrix, _ rows: Matrix, _ turned: Matrix, _ column: Int, isFirst: Bool) {
    let isWide = column + wide <= turned.columns
    let source = turned.row(0) + column
    var row = 0
    while row + 8 <= rows.rows {
      if isWide {
        eight(rows, row, source, turned.stride, tile.row(row), isWide: true, isFirst: isFirst)
      } else {
        eight(rows, row, source, turned.stride, tile.row(row), isWide: false, isFirst: isFirst)
      }
      row += 8
    }
    while row < rows.rows {
      one(rows.row(row), rows.columns, source, turned.stride, tile.row(row), isWide: isWide)
      row += 1
    }
  }

  /// Eight rows of B, with one or two accumulators each; fetches the next eight ahead the first time they are passed.
  @inline(__always)
  private static func eight(
    _ b: Matrix, _ row: Int, _ turned: UnsafePointer<Float>, _ stride: Int, _ tile: UnsafeMutablePointer<Float>,
    isWide: Bool, isFirst: Bool
  ) {
    var (s0, s1, s2, s3) = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)
    var (s4, s5, s6, s7) = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)
    var (t0, t1, t2, t3) = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)
    var (t4, t5, t6, t7) = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)
    let (b0, b1, b2, b3) = (b.row(row), b.row(row + 1), b.row(row + 2), b.row(row + 3))
    let (b4, b5, b6, b7) = (b.row(row + 4), b.row(row + 5), b.row(row + 6), b.row(row + 7))
    let next = b.row(row + 8)
    var source = turned
    for k in 0..<b.columns {
      let x = Vector(at: source)
      let y = isWide ? Vector(at: source + Vector.lanes) : x
      source += stride
      multiply(b0[k], x, y, &s0, &t0, isWide)
      multiply(b1[k], x, y, &s1, &t1, isWide)
      multiply(b2[k], x, y, &s2, &t2, isWide)
      multiply(b3[k], x, y, &s3, &t3, isWide)
      multiply(b4[k], x, y, &s4, &t4, isWide)
      multiply(b5[k], x, y, &s5, &t5, isWide)
      multiply(b6[k], x, y, &s6, &t6, isWide)
      multiply(b7[k], x, y, &s7, &t7, isWide)
      if isFirst, k & 1 == 0 { simd_prefetch(next + 8 * k) }
    }
    put(s0, s1, s2, s3, tile)
    put(s4, s5, s6, s7, tile + 4 * wide)
    if isWide {
      put(t0, t1, t2, t3, tile + Vector.lanes)
      put(t4, t5, t6, t7, tile + 4 * wide + Vector.lanes)
    }
  }

  /// Four vectors below each other in a tile.
  @inline(__always)
  private static func put(
    _ a: Vector, _ b: Vector, _ c: Vector, _ d: Vector, _ tile: UnsafeMutablePointer<Float>
  ) {
    a.store(at: tile)
    b.store(at: tile + wide)
    c.store(at: tile + 2 * wide)
    d.store(at: tile + 3 * wide)
  }

  @inline(__always)
  private static func multiply(
    _ weight: Float, _ x: Vector, _ y: Vector, _ s: inout Vector, _ t: inout Vector, _ isWide: Bool
  ) {
    let w = Vector(repeating: weight)
    s = simd_fma(w, x, s)
    if isWide { t = simd_fma(w, y, t) }
  }

  /// One of the last rows of B.
  @inline(__always)
  private static func one(
    _ b: UnsafePointer<Float>, _ inner: Int, _ turned: UnsafePointer<Float>, _ stride: Int,
    _ tile: UnsafeMutablePointer<Float>, isWide: Bool
  ) {
    var (s, t) = (Vector.zero, Vector.zero)
    for k in 0..<inner {
      let x = Vector(at: turned + k * stride)
      let y = isWide ? Vector(at: turned + k * stride + Vector.lanes) : x
      multiply(b[k], x, y, &s, &t, isWide)
    }
    s.store(at: tile)
    if isWide { t.store(at: tile + Vector.lanes) }
  }

  /// Turns a tile, of which `count` rows are results, into up to 32 rows of C.
  @inline(__always)
  private static func put(
    _ tile: Matrix, _ corner: Matrix, _ count: Int, into c: Matrix, firstRow: Int, firstColumn: Int, _ adding: Bool
  ) {
    for half in stride(from: 0, to: min(wide, c.rows - firstRow), by: Vector.lanes) {
      simd_transpose(tile.base + half, tile.stride, corner.base, corner.stride)
      for row in 0..<min(Vector.lanes, c.rows - firstRow - half) {
        let target = c.row(firstRow + half + row) + firstColumn
        let value = Vector(at: corner.row(row))
        store(adding ? value + load(target, count) : value, target, count)
      }
    }
  }
}
