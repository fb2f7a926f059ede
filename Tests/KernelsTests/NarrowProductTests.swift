import Kernels
import Testing

@Suite struct NarrowProductTests {
  // Float32 sums of at most 150 products of numbers below 2, fused.
  static let tolerance = 2e-6
  // Rows around the blocks of four, columns around one and two vectors.
  static let rows = [0, 1, 3, 4, 5, 9]
  static let columns = [1, 8, 9, 16, 17, 31, 32, 33, 47, 48, 64, 80, 100]

  @Test(arguments: rows, columns)
  func isTheSumOfProducts(rows: Int, columns: Int) {
    for (inner, gap, adding) in [(0, 0, false), (0, 3, true), (1, 2, false), (7, 1, true), (150, 0, false)] {
      var generator = TestGenerator(rows * 1_000 + columns)
      let a = Grid(generator.floats(rows * inner), rows: rows, columns: inner, gap: gap)
      let b = Grid(generator.floats(inner * columns), rows: inner, columns: columns, gap: 2 * gap)
      // Without `adding` even rubbish in C must not show.
      let before = adding ? generator.floats(rows * columns) : Array(repeating: Float.nan, count: rows * columns)
      let c = Grid(before, rows: rows, columns: columns, gap: gap)
      NarrowProduct.multiply(a.matrix, b.matrix, into: c.matrix, adding: adding)
      let (x, y) = (a.values.doubles, b.values.doubles)
      let expected = (0..<rows * columns).map { index -> Double in
        let sum = (0..<inner).reduce(0.0) {
          $0 + x[index / columns * inner + $1] * y[$1 * columns + index % columns]
        }
        return sum + (adding ? Double(before[index]) : 0)
      }
      expectClose(c.values, expected, tolerance: Self.tolerance, scale: Double(inner).squareRoot() + 1)
      #expect(c.isIntact && a.isIntact && b.isIntact)
    }
  }

  // A row's result must not depend on whether it was computed in a block of four or alone.
  @Test(arguments: [16, 33, 64])
  func blocksOfRowsGiveTheSameBitsAsSingleRows(columns: Int) {
    var generator = TestGenerator(columns)
    let a = Grid(generator.floats(6 * 40), rows: 6, columns: 40)
    let b = Grid(generator.floats(40 * columns), rows: 40, columns: columns)
    let (whole, single) = (Grid(rows: 6, columns: columns), Grid(rows: 6, columns: columns))
    NarrowProduct.multiply(a.matrix, b.matrix, into: whole.matrix, adding: false)
    for row in 0..<6 {
      let range = row..<row + 1
      NarrowProduct.multiply(a.matrix.rows(range), b.matrix, into: single.matrix.rows(range), adding: false)
    }
    #expect(whole.values == single.values)
  }
}
