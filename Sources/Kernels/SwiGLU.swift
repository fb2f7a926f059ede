import AlignmentCore
import CSIMD

/// The gated activation y = silu(g)∘u with silu(g) = g·σ(g) (Shazeer 2020, arXiv 2002.05202, eq. 6).
package enum SwiGLU {
  /// - Parameters:
  ///   - gateUp: (T, 2I), gate in the first half of each row and up in the second.
  ///   - y: (T, I)
  package static func forward(gateUp: Matrix, into y: Matrix) {
    let width = y.columns
    for t in 0..<y.rows {
      let (gate, up, result) = (gateUp.row(t), gateUp.row(t) + width, y.row(t))
      forEachVector(in: width) { i, lanes in
        let g = load(gate + i, lanes)
        store(g * logistic(g) * load(up + i, lanes), result + i, lanes)
      }
    }
  }

  /// Replaces gate and up by their gradients: du = dy·silu(g), dg = dy·u·σ(g)·(1 + g·(1 − σ(g))).
  package static func backward(dy: Matrix, gateUp: Matrix) {
    let width = dy.columns
    for t in 0..<dy.rows {
      let (gate, up, upstream) = (gateUp.row(t), gateUp.row(t) + width, dy.row(t))
      forEachVector(in: width) { i, lanes in
        let (g, u, d) = (load(gate + i, lanes), load(up + i, lanes), load(upstream + i, lanes))
        let s = logistic(g)
        store(d * u * s * simd_fma(g, 1 - s, Vector(repeating: 1)), gate + i, lanes)
        store(d * g * s, up + i, lanes)
      }
    }
  }

  @inline(__always)
  private static func logistic(_ x: Vector) -> Vector { 1 / (1 + exponential(-x)) }
}
