import AlignmentCore
import Foundation
import Kernels
import Testing

/// The loops of Adafactor against the same sums and products in Float64.
@Suite struct AdafactorKernelTests {
  static let shapes = [(1, 1), (1, 33), (5, 1), (3, 16), (4, 17), (7, 100), (130, 31)]

  /// A matrix of gradients in dense memory.
  private struct Gradient {
    let rows: Int
    let columns: Int
    let memory: Memory
    var matrix: Matrix { Matrix(memory.base, rows: rows, columns: columns) }

    init(_ shape: (Int, Int)) {
      (rows, columns) = shape
      var generator = TestGenerator(rows * 1_000 + columns)
      memory = Memory(generator.floats(rows * columns))
    }

    subscript(row: Int, column: Int) -> Double { Double(memory.base[row * columns + column]) }
  }

  // Squares are exact in Float64; there are few of them.
  static let sumTolerance = 1e-14

  @Test(arguments: shapes)
  func sumsOfSquaresAreInDoublePrecision(shape: (Int, Int)) {
    let g = Gradient(shape)
    var rows = [Double](repeating: .nan, count: g.rows + 1)
    var columns = [Double](repeating: .nan, count: g.columns + AdafactorKernel.padding + 1)
    rows.withUnsafeMutableBufferPointer { rows in
      columns.withUnsafeMutableBufferPointer { columns in
        AdafactorKernel.sumSquares(of: g.matrix, scale: 0.5, rows: rows, columns: columns)
      }
    }
    for row in 0..<g.rows {
      let expected = (0..<g.columns).reduce(0.0) { $0 + 0.25 * g[row, $1] * g[row, $1] }
      #expect(abs(rows[row] - expected) <= Self.sumTolerance * expected)
    }
    for column in 0..<g.columns {
      let expected = (0..<g.rows).reduce(0.0) { $0 + 0.25 * g[$1, column] * g[$1, column] }
      #expect(abs(columns[column] - expected) <= Self.sumTolerance * expected)
    }
    #expect(rows[g.rows].isNaN && columns.last?.isNaN == true && g.memory.isIntact)
  }

  // One rounding to Float32.
  static let roundingTolerance = 6e-8

  @Test(arguments: [0, 1, 16, 45])
  func averagesTakeTheMeanAndEpsilon(count: Int) {
    var generator = TestGenerator(count)
    var sums = generator.floats(count, 0...100).doubles
    let moments = Memory(generator.floats(count, 0...3))
    let expected = zip(moments.values, sums).map { 0.75 * Double($0) + 0.25 * ($1 / 7 + 1e-3) }
    let total = sums.withUnsafeMutableBufferPointer {
      AdafactorKernel.average($0, terms: 7, epsilon: 1e-3, decay: 0.75, into: moments.view)
    }
    expectClose(moments.values, expected, tolerance: Self.roundingTolerance, scale: 0)
    #expect(abs(total - moments.values.doubles.reduce(0, +)) <= Self.sumTolerance * total && moments.isIntact)
  }

  // Two roots and a quotient.
  static let rootTolerance = 3e-7

  @Test(arguments: [0, 1, 15, 16, 17, 45])
  func inverseRootsDoNotOverflow(count: Int) {
    var generator = TestGenerator(count)
    let moments = Memory((0..<count).map { _ in Float(exp(generator.uniform(-80, 80))) })
    let factors = Memory(count: count)
    for numerator: Float in [1, 1e-30, 3e37] {
      AdafactorKernel.inverseRoots(of: moments.view, numerator: numerator, into: factors.view)
      let expected = moments.values.doubles.map { (Double(numerator) / $0).squareRoot() }
      expectClose(factors.values, expected, tolerance: Self.rootTolerance, scale: 0)
      #expect(factors.isIntact)
    }
    AdafactorKernel.inverseRoots(of: moments.view, numerator: moments.values.first ?? 1, into: factors.view)
    #expect(factors.values.first ?? 1 == 1)
  }

  /// The factors of random rows and columns, and the updates that they make.
  private func factors(_ g: Gradient, _ rows: Memory, _ columns: Memory) -> ([[Double]], AdafactorKernel.Factors) {
    let updates = (0..<g.rows).map { row in
      (0..<g.columns).map { 0.5 * g[row, $0] * Double(rows.values[row]) * Double(columns.values[$0]) }
    }
    return (updates, AdafactorKernel.Factors(rows: rows.view, columns: columns.view, gradientScale: 0.5))
  }

  // Updates are products of four numbers in Float32; their squares are summed in Float64.
  static let updateTolerance = 5e-7

  @Test(arguments: shapes)
  func theSumOfSquaresOfAnUpdateIsThatOfItsElements(shape: (Int, Int)) {
    let g = Gradient(shape)
    var generator = TestGenerator(3)
    let (updates, factors) = factors(
      g, Memory(generator.floats(g.rows, 0.5...2)), Memory(generator.floats(g.columns, 0.5...2)))
    let expected = updates.joined().reduce(0.0) { $0 + $1 * $1 }
    #expect(abs(AdafactorKernel.sumSquaresOfUpdate(g.matrix, factors) / expected - 1) <= Self.updateTolerance)
  }

  @Test(arguments: shapes, [false, true])
  func partsOfAMatrixAreUpdatedLikeTheWhole(shape: (Int, Int), hasMoment: Bool) {
    let g = Gradient(shape)
    var generator = TestGenerator(4)
    let (rows, columns) = (Memory(generator.floats(g.rows, 0.5...2)), Memory(generator.floats(g.columns, 0.5...2)))
    let (updates, factors) = factors(g, rows, columns)
    let (initial, moments) = (generator.floats(g.memory.count), generator.floats(g.memory.count))
    let step = AdafactorKernel.Step(updateScale: 0.125, shrinkage: 0.75, beta1: 0.9)
    let scaled = updates.joined().map { 0.125 * $0 }
    let averages = zip(moments, scaled).map { hasMoment ? 0.9 * Double($0) + (1 - 0.9) * $1 : Double($0) }
    let expected = initial.indices.map { 0.75 * Double(initial[$0]) - (hasMoment ? averages[$0] : scaled[$0]) }
    let borders = [0, g.memory.count / 3, g.memory.count / 2, g.memory.count]
    let (p, m) = (Memory(initial), Memory(moments))
    for range in zip(borders, borders.dropFirst()).map({ $0..<$1 }) {
      AdafactorKernel.apply(
        to: p.view[range], gradients: g.memory.view[range], firstMoment: hasMoment ? m.view[range] : nil,
        startingAt: range.lowerBound, factors, step)
    }
    expectClose(p.values, expected, tolerance: Self.updateTolerance, scale: 1)
    expectClose(m.values, averages, tolerance: Self.updateTolerance, scale: 1)
    #expect(p.isIntact && m.isIntact)
    let (q, n) = (Memory(initial), Memory(moments))
    AdafactorKernel.apply(
      to: q.view, gradients: g.memory.view, firstMoment: hasMoment ? n.view : nil, startingAt: 0, factors, step)
    #expect(q.values == p.values && n.values == m.values)
  }
}
