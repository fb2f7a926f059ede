import AlignmentCore
import CSIMD

/// Root mean square normalisation: y = x · r · w with r = 1/√(mean(x²) + ε) (Zhang and Sennrich 2019, arXiv 1910.07467, eq. 4).
package enum RMSNorm {
  /// - Parameters:
  ///   - x: (T, H), rows may be strided.
  ///   - weight: (H)
  ///   - y: (T, H); may be `x`.
  ///   - inverse: (T), receives r for the backward pass.
  package static func forward(
    _ x: Matrix, weight: UnsafePointer<Float>, epsilon: Float, into y: Matrix, inverse: UnsafeMutablePointer<Float>
  ) {
    for t in 0..<x.rows {
      let source = x.row(t)
      let target = y.row(t)
      var squares = Vector.zero
      forEachVector(in: x.columns) { i, lanes in
        let value = load(source + i, lanes)
        squares = simd_fma(value, value, squares)
      }
      let r = 1 / (simd_sum(squares) / Float(x.columns) + epsilon).squareRoot()
      inverse[t] = r
      forEachVector(in: x.columns) { i, lanes in
        store(load(source + i, lanes) * r * load(weight + i, lanes), target + i, lanes)
      }
    }
  }

  /// dx (+)= r·(w∘dy) − x·r³/H·⟨w∘dy, x⟩ and dw += Σ_t dy∘x·r.
  ///
  /// - Parameters:
  ///   - dy: (T, H)
  ///   - dx: (T, H); may be `dy` when not adding.
  ///   - dWeight: (H), added to.
  ///   - adding: whether dx is added to or overwritten.
  package static func backward(
    dy: Matrix, x: Matrix, weight: UnsafePointer<Float>, inverse: UnsafePointer<Float>, into dx: Matrix,
    adding: Bool, dWeight: UnsafeMutablePointer<Float>
  ) {
    for t in 0..<x.rows {
      let (upstream, input, result) = (dy.row(t), x.row(t), dx.row(t))
      let r = inverse[t]
      var products = Vector.zero
      forEachVector(in: x.columns) { i, lanes in
        let (gradient, value) = (load(upstream + i, lanes), load(input + i, lanes))
        products = simd_fma(gradient * load(weight + i, lanes), value, products)
        store(simd_fma(gradient, value * r, load(dWeight + i, lanes)), dWeight + i, lanes)
      }
      let shared = -simd_sum(products) * r * r * r / Float(x.columns)
      forEachVector(in: x.columns) { i, lanes in
        let direct = load(upstream + i, lanes) * load(weight + i, lanes) * r
        let gradient = simd_fma(load(input + i, lanes), Vector(repeating: shared), direct)
        store(adding ? gradient + load(result + i, lanes) : gradient, result + i, lanes)
      }
    }
  }
}
