import Foundation
import Kernels
import Testing

/// cos, so that other files need not import Foundation.
func cosine(_ x: Double) -> Double { cos(x) }

@Suite struct SwiGLUTests {
  // The exponential's relative error of 2·10⁻⁷ and five roundings.
  static let tolerance = 1e-6
  static let rows = 3

  /// silu(g)·u of rows (gate, up).
  static func reference(_ gateUp: [Double], width: Int) -> [Double] {
    (0..<gateUp.count / (2 * width)).flatMap { row in
      (0..<width).map { column in
        let gate = gateUp[row * 2 * width + column]
        return gate / (1 + exp(-gate)) * gateUp[row * 2 * width + width + column]
      }
    }
  }

  @Test(arguments: [1, 5, 16, 17, 48, 100], [0, 3])
  func forwardIsTheFormula(width: Int, gap: Int) {
    var generator = TestGenerator(width)
    let values = generator.floats(Self.rows * 2 * width, -6...6)
    let gateUp = Grid(values, rows: Self.rows, columns: 2 * width, gap: gap)
    let y = Grid(rows: Self.rows, columns: width, gap: gap)
    SwiGLU.forward(gateUp: gateUp.matrix, into: y.matrix)
    expectClose(y.values, Self.reference(values.doubles, width: width), tolerance: Self.tolerance)
    #expect(gateUp.isIntact && y.isIntact && gateUp.values == values)
  }

  @Test(arguments: [1, 5, 16, 17, 48])
  func backwardIsTheDerivative(width: Int) {
    var generator = TestGenerator(width)
    let values = generator.floats(Self.rows * 2 * width, -6...6)
    let upstream = generator.floats(Self.rows * width)
    let gateUp = Grid(values, rows: Self.rows, columns: 2 * width, gap: 2)
    let dy = Grid(upstream, rows: Self.rows, columns: width, gap: 1)
    SwiGLU.backward(dy: dy.matrix, gateUp: gateUp.matrix)
    let derivative = centralDifferences(at: values.doubles) {
      contraction(Self.reference($0, width: width), upstream.doubles)
    }
    expectClose(gateUp.values, derivative, tolerance: Self.tolerance)
    #expect(gateUp.isIntact && dy.isIntact && dy.values == upstream)
  }

  // Where the exponential saturates, silu(g) is g or 0 to within Float32.
  @Test(arguments: [Float(60), 100, 1e4, 1e30])
  func saturatedGatesAreFinite(magnitude: Float) {
    let gateUp = Grid([magnitude, -magnitude, 3, 3], rows: 1, columns: 4)
    let y = Grid(rows: 1, columns: 2)
    SwiGLU.forward(gateUp: gateUp.matrix, into: y.matrix)
    expectClose(y.values, [3 * Double(magnitude), 0], tolerance: Self.tolerance, scale: 1)
    let dy = Grid([1, 1], rows: 1, columns: 2)
    SwiGLU.backward(dy: dy.matrix, gateUp: gateUp.matrix)
    expectClose(gateUp.values, [3, 0, Double(magnitude), 0], tolerance: Self.tolerance, scale: 1)
  }
}
