import AlignmentCore
import Kernels
import Testing

@Suite struct ProductTests {
  // Float32 sums of at most 70 products of numbers below 2, in an order of BLAS's choosing.
  static let tolerance = 2e-6
  static let shapes: [[Int]] = [[1, 1, 1], [2, 3, 4], [17, 1, 5], [1, 33, 16], [5, 16, 70], [64, 48, 32]]

  private struct Operand {
    let grid: Grid
    let isTransposed: Bool

    init(_ rows: Int, _ columns: Int, transposed: Bool, gap: Int, _ generator: inout TestGenerator) {
      isTransposed = transposed
      let (r, c) = transposed ? (columns, rows) : (rows, columns)
      grid = Grid(generator.floats(rows * columns), rows: r, columns: c, gap: gap)
    }

    var matrix: Matrix { isTransposed ? grid.matrix.transposed : grid.matrix }

    subscript(row: Int, column: Int) -> Double {
      let values = grid.memory.base
      return Double(isTransposed ? values[column * grid.stride + row] : values[row * grid.stride + column])
    }
  }

  @Test(arguments: shapes, [(false, false), (true, false), (false, true), (true, true)])
  func isTheSumOfProducts(shape: [Int], transposed: (a: Bool, b: Bool)) {
    let (m, n, k) = (shape[0], shape[1], shape[2])
    for (gap, keeping, scale) in [(0, Float(0), Float(1)), (3, 1, 1), (5, 0.5, -0.3), (0, 0, 0.125)] {
      var generator = TestGenerator(m * 10_000 + n * 100 + k)
      let a = Operand(m, k, transposed: transposed.a, gap: gap, &generator)
      let b = Operand(k, n, transposed: transposed.b, gap: 2 * gap, &generator)
      // Without `keeping` even rubbish in C must not show.
      let before = keeping == 0 ? Array(repeating: Float.nan, count: m * n) : generator.floats(m * n)
      let c = Grid(before, rows: m, columns: n, gap: gap)
      Product.multiply(a.matrix, b.matrix, into: c.matrix, keeping: keeping, scale: scale)
      let expected = (0..<m * n).map { index -> Double in
        let sum = (0..<k).reduce(0.0) { $0 + a[index / n, $1] * b[$1, index % n] }
        return Double(scale) * sum + (keeping == 0 ? 0 : Double(keeping) * Double(before[index]))
      }
      expectClose(c.values, expected, tolerance: Self.tolerance, scale: Double(k).squareRoot() + 1)
      #expect(c.isIntact && a.grid.isIntact && b.grid.isIntact)
    }
  }

  @Test func anEmptyResultIsLeftAlone() {
    let (a, b) = (Grid([1, 2], rows: 2, columns: 1), Grid([3, 4], rows: 1, columns: 2))
    let c = Grid([5, 6, 7, 8], rows: 2, columns: 2)
    Product.multiply(a.matrix.rows(0..<0), b.matrix, into: c.matrix.rows(0..<0))
    Product.multiply(a.matrix, b.matrix.columns(1..<1), into: c.matrix.columns(1..<1))
    #expect(c.values == [5, 6, 7, 8] && c.isIntact)
  }

  // C ← scale·A·B + keeping·C with an empty sum in the place of A·B.
  @Test(arguments: [Float(0), 1, 0.5])
  func withoutInnerDimensionTheProductIsZero(keeping: Float) {
    let (a, b) = (Grid([1, 2], rows: 2, columns: 1), Grid([3, 4], rows: 1, columns: 2))
    let c = Grid([5, 6, 7, 8], rows: 2, columns: 2)
    Product.multiply(a.matrix.columns(0..<0), b.matrix.rows(0..<0), into: c.matrix, keeping: keeping)
    #expect(c.values == [5, 6, 7, 8].map { $0 * keeping } && c.isIntact)
  }

  @Test func rowsAndColumnsAreParts() {
    let values = (0..<12).map(Float.init)
    let grid = Grid(values, rows: 3, columns: 4, gap: 2)
    let part = grid.matrix.rows(1..<3).columns(1..<3)
    #expect(part.rows == 2 && part.columns == 2 && part.stride == 6)
    let seen = (0..<2).flatMap { row in (0..<2).map { part.row(row)[$0] } }
    #expect(seen == [5, 6, 9, 10])
    let view = FloatView(base: grid.memory.base, count: 6)
    #expect(Matrix(view, rows: 2, columns: 3).row(1) == view.base + 3)
  }
}
