import Kernels
import Testing

@Suite struct SkinnyProductTests {
  // Float32 sums of at most 150 products of numbers below 2, fused.
  static let tolerance = 2e-6
  // Rows around one, two and three vectors; columns around bands of sixteen and groups of eight.
  static let rows = [1, 2, 5, 15, 16, 17, 31, 32, 33, 48, 50, 64]
  static let columns = [1, 7, 8, 9, 15, 16, 17, 40, 50]

  init() { BLAS.threads = 1 }

  static var hasOwnProducts: Bool {
    BLAS.threads = 1
    return SkinnyProduct.isOwn
  }

  private func multiply(_ a: Grid, _ b: Grid, into c: Grid, adding: Bool) {
    let scratch = Memory(count: SkinnyProduct.scratchCount(rows: a.rows, inner: a.columns))
    SkinnyProduct.multiply(a.matrix, b.matrix, into: c.matrix, adding: adding, scratch: scratch.view)
    #expect(scratch.isIntact && a.isIntact && b.isIntact && c.isIntact)
  }

  @Test(arguments: rows, columns)
  func isTheProductWithTheTranspose(rows: Int, columns: Int) {
    for (inner, gap, adding) in [(1, 2, false), (15, 0, true), (16, 3, false), (37, 1, true), (150, 0, false)] {
      var generator = TestGenerator(rows * 1_000 + columns)
      let a = Grid(generator.floats(rows * inner), rows: rows, columns: inner, gap: gap)
      let b = Grid(generator.floats(columns * inner), rows: columns, columns: inner, gap: 2 * gap)
      // Without `adding` even rubbish in C must not show.
      let before = adding ? generator.floats(rows * columns) : Array(repeating: Float.nan, count: rows * columns)
      let c = Grid(before, rows: rows, columns: columns, gap: gap)
      multiply(a, b, into: c, adding: adding)
      let (x, y) = (a.values.doubles, b.values.doubles)
      let expected = (0..<rows * columns).map { index -> Double in
        let sum = (0..<inner).reduce(0.0) {
          $0 + x[index / columns * inner + $1] * y[index % columns * inner + $1]
        }
        return sum + (adding ? Double(before[index]) : 0)
      }
      expectClose(c.values, expected, tolerance: Self.tolerance, scale: Double(inner).squareRoot() + 1)
    }
  }

  // What makes a sample independent of its company.
  @Test(.enabled(if: Self.hasOwnProducts, "needs the registers of AVX-512"), arguments: [1, 3, 16, 20, 32, 49])
  func aRowHasTheSameBitsInAnyCompany(rows: Int) {
    var generator = TestGenerator(rows)
    let a = Grid(generator.floats(64 * 40), rows: 64, columns: 40)
    let b = Grid(generator.floats(51 * 40), rows: 51, columns: 40)
    let whole = Grid(rows: 64, columns: 51)
    multiply(a, b, into: whole, adding: false)
    let some = Grid(Array(a.values.suffix(rows * 40)), rows: rows, columns: 40)
    let part = Grid(rows: rows, columns: 51)
    multiply(some, b, into: part, adding: false)
    #expect(part.values == Array(whole.values.suffix(rows * 51)))
  }
}
