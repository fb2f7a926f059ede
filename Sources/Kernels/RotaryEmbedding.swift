import AlignmentCore
import CSIMD

/// Rotary position embedding in the half-split layout (Su et al. 2021, arXiv 2104.09864, §3.4.2; layout of Hugging Face).
package enum RotaryEmbedding {
  /// Rotates the pair (x[i], x[i + D/2]) of every head by the angle of its position.
  ///
  /// - Parameters:
  ///   - x: (T, heads·D), rotated in place.
  ///   - positions: (T)
  ///   - cosines, sines: (positions, D/2)
  ///   - inverse: rotates back, which is also the backward pass.
  package static func rotate(
    _ x: Matrix, heads: Int, positions: UnsafePointer<Int32>, cosines: UnsafePointer<Float>,
    sines: UnsafePointer<Float>, inverse: Bool = false
  ) {
    let half = x.columns / heads / 2
    let direction: Float = inverse ? -1 : 1
    for t in 0..<x.rows {
      let cosine = cosines + Int(positions[t]) * half
      let sine = sines + Int(positions[t]) * half
      for head in 0..<heads {
        let first = x.row(t) + head * 2 * half
        rotatePair(first, first + half, cosine, sine, direction, half)
      }
    }
  }

  @inline(__always)
  private static func rotatePair(
    _ first: UnsafeMutablePointer<Float>, _ second: UnsafeMutablePointer<Float>, _ cosine: UnsafePointer<Float>,
    _ sine: UnsafePointer<Float>, _ direction: Float, _ half: Int
  ) {
    forEachVector(in: half) { i, lanes in
      let (a, b) = (load(first + i, lanes), load(second + i, lanes))
      let (c, s) = (load(cosine + i, lanes), load(sine + i, lanes) * direction)
      store(simd_fma(a, c, -b * s), first + i, lanes)
      store(simd_fma(b, c, a * s), second + i, lanes)
    }
  }
}
