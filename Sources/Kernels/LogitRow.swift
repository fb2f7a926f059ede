import AlignmentCore
import CSIMD

#if canImport(Glibc)
  import Glibc
#endif

/// Loops over the logits of one position, of which a token is drawn.
///
/// Sums are kept for each block of ``blockSize`` entries, so that a draw looks at the sums first and then into one block.
package enum LogitRow {
  package static let blockSize = 512

  /// How many block sums belong to a row.
  package static func blocks(of count: Int) -> Int { (count + blockSize - 1) / blockSize }

  /// The smallest and the largest entry; NaN is passed over.
  package static func bounds(_ row: UnsafePointer<Float>, count: Int) -> (lowest: Float, highest: Float) {
    var lowest = Vector(repeating: .infinity)
    var highest = Vector(repeating: -.infinity)
    forEachVector(in: count) { i, lanes in
      lowest = simd_min(lowest, load(row + i, lanes, fill: .infinity))
      highest = simd_max(highest, load(row + i, lanes, fill: -.infinity))
    }
    return (-simd_max_lane(-lowest), simd_max_lane(highest))
  }

  /// The index of the first entry that equals a value; `count` if there is none.
  package static func firstIndex(of value: Float, in row: UnsafePointer<Float>, count: Int) -> Int {
    let above = Vector(repeating: value.nextUp)
    var start = 0
    while start + Vector.lanes <= count {
      let bits = simd_bits_between(Vector(at: row + start), Vector(repeating: value), above)
      if bits != 0 { return start + bits.trailingZeroBitCount }
      start += Vector.lanes
    }
    while start < count, row[start] != value { start += 1 }
    return start
  }

  /// weights ← exp((row − `largest`)·`scale`), with the sum of each block.
  ///
  /// - Parameters:
  ///   - weights: (count)
  ///   - sums: (blocks of count)
  /// - Returns: the sum of all weights.
  package static func exponentiate(
    _ row: UnsafePointer<Float>, count: Int, largest: Float, scale: Float, into weights: UnsafeMutablePointer<Float>,
    sums: UnsafeMutablePointer<Double>
  ) -> Double {
    forEachBlock(of: count, sums) { i, lanes in
      let value = exponential((load(row + i, lanes, fill: -.infinity) - largest) * scale)
      store(value, weights + i, lanes)
      return lanes == Vector.lanes ? value : Vector.keepFirst(lanes, of: value)
    }
  }

  /// Σ exp(row − `largest`)
  package static func sumOfExponentials(_ row: UnsafePointer<Float>, count: Int, largest: Float) -> Double {
    var (low, high) = (SIMD8<Double>.zero, SIMD8<Double>.zero)
    forEachVector(in: count) { i, lanes in
      let value = exponential(load(row + i, lanes, fill: -.infinity) - largest)
      low += simd_float_to_double(value.lowHalf)
      high += simd_float_to_double(value.highHalf)
    }
    return (low + high).sum()
  }

  /// The sum of each block over the weights whose key is at least `threshold`.
  ///
  /// - Returns: the sum of them all.
  package static func sum(
    _ weights: UnsafePointer<Float>, keys: UnsafePointer<Float>, atLeast threshold: Float, count: Int,
    into sums: UnsafeMutablePointer<Double>
  ) -> Double {
    let bound = Vector(repeating: threshold)
    return forEachBlock(of: count, sums) { i, lanes in
      simd_keep_from(load(weights + i, lanes), load(keys + i, lanes, fill: -.infinity), bound)
    }
  }

  /// Copies the entries that are at least `threshold`, in their order, with their indices.
  ///
  /// - Returns: how many there are.
  package static func collect(
    _ row: UnsafePointer<Float>, atLeast threshold: Float, count: Int, into values: UnsafeMutablePointer<Float>,
    indices: UnsafeMutablePointer<Int32>
  ) -> Int {
    var found = 0
    forEachVector(in: count) { i, lanes in
      let value = load(row + i, lanes)
      var bits = simd_bits_between(value, Vector(repeating: threshold), Vector(repeating: .infinity))
      if lanes < Vector.lanes { bits &= 1 << UInt32(lanes) - 1 }
      while bits != 0 {
        let lane = bits.trailingZeroBitCount
        (values[found], indices[found]) = (row[i + lane], Int32(i + lane))
        found += 1
        bits &= bits - 1
      }
    }
    return found
  }

  /// Adds what `body` gives for each vector in Float64, block by block.
  @inline(__always)
  private static func forEachBlock(
    of count: Int, _ sums: UnsafeMutablePointer<Double>, _ body: (_ offset: Int, _ lanes: Int) -> Vector
  ) -> Double {
    var total = 0.0
    for block in 0..<blocks(of: count) {
      let start = block * blockSize
      var (low, high) = (SIMD8<Double>.zero, SIMD8<Double>.zero)
      forEachVector(in: min(blockSize, count - start)) { i, lanes in
        let value = body(start + i, lanes)
        low += simd_float_to_double(value.lowHalf)
        high += simd_float_to_double(value.highHalf)
      }
      sums[block] = (low + high).sum()
      total += sums[block]
    }
    return total
  }
}
