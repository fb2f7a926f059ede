import AlignmentCore
import Kernels
import Testing

@Suite struct ElementwiseTests {
  static let lengths = [0, 1, 7, 15, 16, 17, 31, 32, 33, 100]

  @Test(arguments: lengths)
  func copyKeepsGaps(columns: Int) {
    var generator = TestGenerator(columns)
    let source = Grid(generator.floats(3 * columns), rows: 3, columns: columns, gap: 2)
    let target = Grid(rows: 3, columns: columns, gap: 5)
    Elementwise.copy(source.matrix, into: target.matrix)
    #expect(target.values == source.values && target.isIntact && source.isIntact)
  }

  @Test(arguments: lengths)
  func clearAddAndScaleAreExact(count: Int) {
    var generator = TestGenerator(count)
    let (a, b) = (generator.floats(count), generator.floats(count))
    let (source, target) = (Memory(a), Memory(b))
    Elementwise.add(source.base, into: target.base, count: count)
    #expect(target.values == zip(b, a).map { $0 + $1 })
    Elementwise.scale(source.view, by: 0.3, into: target.view)
    #expect(target.values == a.map { $0 * 0.3 })
    Elementwise.clear(target.view)
    #expect(target.values.allSatisfy { $0 == 0 } && target.isIntact && source.isIntact && source.values == a)
  }

  @Test(arguments: [1, 5, 16, 17, 48])
  func addBiasAddsToEveryRow(columns: Int) {
    var generator = TestGenerator(columns)
    let values = generator.floats(3 * columns)
    let (x, bias) = (Grid(values, rows: 3, columns: columns, gap: 1), Memory(generator.floats(columns)))
    Elementwise.addBias(bias.base, to: x.matrix)
    #expect(x.values == values.indices.map { values[$0] + bias.values[$0 % columns] } && x.isIntact)
  }

  // Sums of three floats below 2: two roundings.
  static let sumTolerance = 3e-7

  @Test(arguments: [1, 5, 16, 17, 48])
  func biasGradientOverwritesWithTheColumnSums(columns: Int) {
    var generator = TestGenerator(columns)
    let dy = Grid(generator.floats(3 * columns), rows: 3, columns: columns, gap: 1)
    let dBias = Memory(count: columns)
    Elementwise.biasGradient(dy.matrix, into: dBias.base)
    let expected = (0..<columns).map { c in (0..<3).reduce(0.0) { $0 + Double(dy.values[$1 * columns + c]) } }
    expectClose(dBias.values, expected, tolerance: Self.sumTolerance, scale: 2)
    #expect(dBias.isIntact)
  }

  @Test(arguments: [1, 5, 16, 33])
  func gatherAndScatterFollowTheIndices(columns: Int) {
    var generator = TestGenerator(columns)
    let indices: [Int32] = [4, 0, 4, 2, 4]
    let values = generator.floats(5 * columns)
    let table = Grid(values, rows: 5, columns: columns, gap: 1)
    let rows = Grid(rows: 5, columns: columns, gap: 3)
    Elementwise.gatherRows(of: table.matrix, indices, into: rows.matrix)
    #expect(rows.values == indices.flatMap { Array(values[Int($0) * columns..<(Int($0) + 1) * columns]) })
    #expect(rows.isIntact && table.isIntact)
    var expected = values
    for (i, index) in indices.enumerated() {
      for c in 0..<columns { expected[Int(index) * columns + c] += rows.values[i * columns + c] }
    }
    Elementwise.scatterAddRows(of: rows.matrix, indices, into: table.matrix)
    #expect(table.values == expected && table.isIntact)
  }

  // Squares are exact in Float64 and there are 10⁴ of them: rounding of the sum only.
  static let squaresTolerance = 1e-13

  @Test(arguments: lengths + [10_007])
  func sumOfSquaresIsInDoublePrecision(count: Int) {
    var generator = TestGenerator(count)
    let x = Memory(generator.floats(count, -1e4...1e4) + [])
    let expected = x.values.reduce(0.0) { $0 + Double($1) * Double($1) }
    #expect(abs(Elementwise.sumOfSquares(x.view) - expected) <= Self.squaresTolerance * expected)
  }

  @Test func sumOfSquaresDoesNotOverflowAndShowsNotANumber() {
    let large = Memory([3e38, 3e38])
    #expect(Elementwise.sumOfSquares(large.view) == 2 * Double(Float(3e38)) * Double(Float(3e38)))
    for count in [1, 16, 20] {
      let x = Memory(count: count, of: 1)
      x.base[count - 1] = .nan
      #expect(Elementwise.sumOfSquares(x.view).isNaN)
      x.base[count - 1] = -.infinity
      #expect(Elementwise.sumOfSquares(x.view) == .infinity)
    }
  }
}
