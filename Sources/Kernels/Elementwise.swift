import AlignmentCore
import CSIMD

#if canImport(Glibc)
  import Glibc
#endif

/// Loops over flat memory that belong to no layer of their own.
package enum Elementwise {
  /// target ← source
  package static func copy(_ source: Matrix, into target: Matrix) {
    for t in 0..<source.rows { memcpy(target.row(t), source.row(t), source.columns * MemoryLayout<Float>.stride) }
  }

  /// target ← 0
  package static func clear(_ target: FloatView) {
    memset(target.base, 0, target.count * MemoryLayout<Float>.stride)
  }

  /// target += source
  package static func add(_ source: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>, count: Int) {
    forEachVector(in: count) { i, lanes in store(load(target + i, lanes) + load(source + i, lanes), target + i, lanes) }
  }

  /// target += source · factor
  package static func addScaled(
    _ source: UnsafePointer<Float>, by factor: Float, into target: UnsafeMutablePointer<Float>, count: Int
  ) {
    let scale = Vector(repeating: factor)
    forEachVector(in: count) { i, lanes in
      store(simd_fma(load(source + i, lanes), scale, load(target + i, lanes)), target + i, lanes)
    }
  }

  /// target ← source · factor
  package static func scale(_ source: FloatView, by factor: Float, into target: FloatView) {
    forEachVector(in: source.count) { i, lanes in store(load(source.base + i, lanes) * factor, target.base + i, lanes) }
  }

  /// Adds a bias (C) to every row of a (T, C) matrix.
  package static func addBias(_ bias: UnsafePointer<Float>, to x: Matrix) {
    for t in 0..<x.rows { add(bias, into: x.row(t), count: x.columns) }
  }

  /// The gradient of a bias: the sum over rows of dy (T, C), overwriting dBias (C).
  package static func biasGradient(_ dy: Matrix, into dBias: UnsafeMutablePointer<Float>) {
    clear(FloatView(base: dBias, count: dy.columns))
    for t in 0..<dy.rows { add(dy.row(t), into: dBias, count: dy.columns) }
  }

  /// Row i of `target` ← row `indices[i]` of `table`.
  package static func gatherRows(of table: Matrix, _ indices: UnsafePointer<Int32>, into target: Matrix) {
    for i in 0..<target.rows {
      memcpy(target.row(i), table.row(Int(indices[i])), target.columns * MemoryLayout<Float>.stride)
    }
  }

  /// Row `indices[i]` of `table` += row i of `source`, in the order of i.
  package static func scatterAddRows(of source: Matrix, _ indices: UnsafePointer<Int32>, into table: Matrix) {
    for i in 0..<source.rows { add(source.row(i), into: table.row(Int(indices[i])), count: source.columns) }
  }

  /// The sum of squares in Float64 over a fixed order of sixteen lanes.
  package static func sumOfSquares(_ x: FloatView) -> Double {
    var low = SIMD8<Double>.zero
    var high = SIMD8<Double>.zero
    forEachVector(in: x.count) { i, lanes in
      let value = load(x.base + i, lanes)
      let (a, b) = (simd_float_to_double(value.lowHalf), simd_float_to_double(value.highHalf))
      low += a * a
      high += b * b
    }
    return (low + high).sum()
  }
}
