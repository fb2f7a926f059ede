import AlignmentCore
import CSIMD

/// Sums of Float32 that do not depend on the order: 64-bit fixed point with 52 fractional bits.
///
/// A term is scaled by a power of two (exact), rounded once to a multiple of 2⁻⁵², and added as an integer. Integer
/// addition is associative, so every order, schedule and reduction tree gives the same bits.
package enum ExactSum {
  package static let fractionBits = 52

  /// sums += round(terms · `scale` · 2⁵²), unless a term is too large or not finite.
  ///
  /// - Parameters:
  ///   - scale: a power of two.
  ///   - limit: the largest magnitude that a scaled term may have; 2¹⁰ / (number of terms per sum) can never overflow.
  /// - Returns: whether every term was within the limit; when false the sums are unusable.
  package static func accumulate(
    _ terms: FloatView, scale: Float, limit: Float, into sums: UnsafeMutablePointer<Int64>
  ) -> Bool {
    let factor = scale * Float(sign: .plus, exponent: fractionBits, significand: 1)
    let bound = limit / scale
    var largest = Vector.zero
    var isNaN = SIMDMask<SIMD16<Int32>>(repeating: false)
    forEachVector(in: terms.count) { i, lanes in
      let value = load(terms.base + i, lanes)
      largest = simd_max(largest, simd_abs(value))
      isNaN .|= value .!= value
      add(value * factor, into: sums + i, lanes)
    }
    return simd_max_lane(largest) <= bound && !any(isNaN)
  }

  /// Whether ``accumulate(_:scale:limit:into:)`` would accept every term.
  package static func admits(_ terms: FloatView, scale: Float, limit: Float) -> Bool {
    var largest = Vector.zero
    var isNaN = SIMDMask<SIMD16<Int32>>(repeating: false)
    forEachVector(in: terms.count) { i, lanes in
      let value = load(terms.base + i, lanes)
      largest = simd_max(largest, simd_abs(value))
      isNaN .|= value .!= value
    }
    return simd_max_lane(largest) <= limit / scale && !any(isNaN)
  }

  @inline(__always)
  private static func add(_ scaled: Vector, into sums: UnsafeMutablePointer<Int64>, _ lanes: Int) {
    let (low, high) = (simd_to_int64(scaled.lowHalf), simd_to_int64(scaled.highHalf))
    if lanes == Vector.lanes {
      let target = UnsafeMutableRawPointer(sums)
      target.storeBytes(of: target.loadUnaligned(as: SIMD8<Int>.self) &+ low, as: SIMD8<Int>.self)
      let upper = target + MemoryLayout<SIMD8<Int>>.stride
      upper.storeBytes(of: upper.loadUnaligned(as: SIMD8<Int>.self) &+ high, as: SIMD8<Int>.self)
    } else {
      for lane in 0..<lanes { sums[lane] &+= Int64(lane < 8 ? low[lane] : high[lane - 8]) }
    }
  }

  /// values ← sums · 2⁻⁵² · `scale`, rounded once to Float32.
  package static func convert(_ sums: UnsafePointer<Int64>, scale: Double, into values: FloatView) {
    let factor = scale * 0x1p-52
    let whole = values.count & ~7
    for i in stride(from: 0, to: whole, by: 8) {
      let integers = UnsafeRawPointer(sums + i).loadUnaligned(as: SIMD8<Int>.self)
      let floats = simd_double_to_float(simd_int64_to_double(integers) * factor)
      UnsafeMutableRawPointer(values.base + i).storeBytes(of: floats, as: SIMD8<Float>.self)
    }
    for i in whole..<values.count { values.base[i] = Float(Double(sums[i]) * factor) }
  }

  /// sums += other
  package static func add(_ other: UnsafePointer<Int64>, into sums: UnsafeMutablePointer<Int64>, count: Int) {
    for i in 0..<count { sums[i] &+= other[i] }
  }
}
