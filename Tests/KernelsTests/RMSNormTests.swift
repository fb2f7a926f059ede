import Kernels
import Testing

@Suite struct RMSNormTests {
  // Sums of at most 100 products and a reciprocal root in Float32: a few roundings of 6·10⁻⁸ each.
  static let tolerance = 1e-6
  static let epsilon: Float = 1e-3
  static let widths = [1, 5, 16, 17, 48, 100]
  static let rows = 3

  /// y = x / √(mean(x²) + ε) · w
  static func reference(_ x: [Double], weight: [Double]) -> [Double] {
    let width = weight.count
    return stride(from: 0, to: x.count, by: width).flatMap { start -> [Double] in
      let row = x[start..<start + width]
      let inverse = 1 / (row.reduce(0) { $0 + $1 * $1 } / Double(width) + Double(epsilon)).squareRoot()
      return zip(row, weight).map { $0 * inverse * $1 }
    }
  }

  private struct Case {
    let x: [Float]
    let weight: [Float]
    let upstream: [Float]

    init(width: Int) {
      var generator = TestGenerator(width)
      x = generator.floats(rows * width)
      weight = generator.floats(width, 0.5...1.5)
      upstream = generator.floats(rows * width)
    }
  }

  @Test(arguments: widths, [0, 3])
  func forwardIsTheFormula(width: Int, gap: Int) {
    let data = Case(width: width)
    let x = Grid(data.x, rows: Self.rows, columns: width, gap: gap)
    let y = Grid(rows: Self.rows, columns: width, gap: 2 * gap)
    let (weight, inverse) = (Memory(data.weight), Memory(count: Self.rows))
    RMSNorm.forward(x.matrix, weight: weight.base, epsilon: Self.epsilon, into: y.matrix, inverse: inverse.base)
    expectClose(y.values, Self.reference(data.x.doubles, weight: data.weight.doubles), tolerance: Self.tolerance)
    let inverses = (0..<Self.rows).map { row in
      let squares = data.x[row * width..<(row + 1) * width].reduce(0.0) { $0 + Double($1) * Double($1) }
      return 1 / (squares / Double(width) + Double(Self.epsilon)).squareRoot()
    }
    expectClose(inverse.values, inverses, tolerance: Self.tolerance)
    #expect(x.isIntact && y.isIntact && weight.isIntact && inverse.isIntact && x.values == data.x)
  }

  @Test(arguments: widths)
  func inPlaceGivesTheSameBits(width: Int) {
    let data = Case(width: width)
    let (x, y) = (Grid(data.x, rows: Self.rows, columns: width, gap: 1), Grid(rows: Self.rows, columns: width))
    let (weight, inverse) = (Memory(data.weight), Memory(count: Self.rows))
    RMSNorm.forward(x.matrix, weight: weight.base, epsilon: Self.epsilon, into: y.matrix, inverse: inverse.base)
    RMSNorm.forward(x.matrix, weight: weight.base, epsilon: Self.epsilon, into: x.matrix, inverse: inverse.base)
    #expect(x.values == y.values && x.isIntact)
  }

  @Test func zerosStayZeroAndLargeRowsStayFinite() {
    let x = Grid([0, 0, 0, 1e18, -1e18, 1e18], rows: 2, columns: 3)
    let (weight, inverse) = (Memory([1, 2, 3]), Memory(count: 2))
    RMSNorm.forward(x.matrix, weight: weight.base, epsilon: Self.epsilon, into: x.matrix, inverse: inverse.base)
    expectClose(x.values, [0, 0, 0, 1, -2, 3], tolerance: Self.tolerance)
  }

  // dx by central differences of the reference; the kernel's own error is that of its Float32 sums.
  @Test(arguments: widths, [false, true])
  func backwardIsTheDerivative(width: Int, adding: Bool) {
    let data = Case(width: width)
    let x = Grid(data.x, rows: Self.rows, columns: width, gap: 2)
    let dy = Grid(data.upstream, rows: Self.rows, columns: width, gap: 1)
    let dx = Grid(rows: Self.rows, columns: width, gap: 5, of: adding ? 0.75 : .nan)
    let (weight, dWeight) = (Memory(data.weight), Memory(count: width, of: 0.25))
    let (y, inverse) = (Grid(rows: Self.rows, columns: width), Memory(count: Self.rows))
    RMSNorm.forward(x.matrix, weight: weight.base, epsilon: Self.epsilon, into: y.matrix, inverse: inverse.base)
    RMSNorm.backward(
      dy: dy.matrix, x: x.matrix, weight: weight.base, inverse: inverse.base, into: dx.matrix, adding: adding,
      dWeight: dWeight.base)
    let (point, weights, upstream) = (data.x.doubles, data.weight.doubles, data.upstream.doubles)
    let dInput = centralDifferences(at: point) { contraction(Self.reference($0, weight: weights), upstream) }
    expectClose(dx.values, dInput.map { $0 + (adding ? 0.75 : 0) }, tolerance: Self.tolerance, scale: 1)
    let dWeights = centralDifferences(at: weights) { contraction(Self.reference(point, weight: $0), upstream) }
    expectClose(dWeight.values, dWeights.map { $0 + 0.25 }, tolerance: Self.tolerance, scale: 1)
    #expect(dx.isIntact && dy.isIntact && dWeight.isIntact)
  }

  @Test(arguments: widths)
  func backwardInPlaceGivesTheSameBits(width: Int) {
    let data = Case(width: width)
    let x = Grid(data.x, rows: Self.rows, columns: width)
    let dy = Grid(data.upstream, rows: Self.rows, columns: width)
    let dx = Grid(rows: Self.rows, columns: width)
    let (weight, inverse) = (Memory(data.weight), Memory(Array(repeating: 0.7, count: Self.rows)))
    let dWeights = (0..<2).map { _ in Memory(count: width, of: 0) }
    for (target, dWeight) in zip([dx, dy], dWeights) {
      RMSNorm.backward(
        dy: dy.matrix, x: x.matrix, weight: weight.base, inverse: inverse.base, into: target.matrix, adding: false,
        dWeight: dWeight.base)
    }
    #expect(dx.values == dy.values && dWeights[0].values == dWeights[1].values && dy.isIntact)
  }
}
