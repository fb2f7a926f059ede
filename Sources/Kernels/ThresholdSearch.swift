import AlignmentCore
import CSIMD

/// Finds the key at which a budget is used up when entries are taken from the smallest key upwards, without sorting.
///
/// Each round compares all entries with eight thresholds between the bounds that are left and then keeps the entries
/// between two neighbours of them, so that every round has a fraction of the one before. Thresholds lie at equal
/// distances at first, which suits logits, and at equal distances of bit patterns later, which ends for any floats.
package enum ThresholdSearch {
  /// Thresholds of a round.
  private static let fan = 8
  /// Rounds that divide the distance of the bounds; later ones divide their bit patterns.
  private static let linearRounds = 4
  /// Floats of scratch memory for so many entries.
  package static func scratchCount(_ count: Int) -> Int { 2 * (count + Vector.lanes) }

  /// A key and what lies below it.
  package struct Boundary: Equatable {
    package let key: Float
    /// Weight of the entries with smaller keys.
    package let below: Double
  }

  /// The largest key below which the entries weigh no more than `budget`.
  ///
  /// - Parameters:
  ///   - keys: (count) finite or −∞, of any order; the largest must be finite.
  ///   - weights: (count) not negative; nil where every entry weighs 1.
  ///   - bounds: the smallest and the largest key.
  ///   - budget: less than all entries weigh together.
  ///   - span: how far below the largest key the result is likely.
  package static func boundary(
    _ keys: UnsafePointer<Float>, weights: UnsafePointer<Float>?, count: Int, bounds: (lowest: Float, highest: Float),
    budget: Double, span: Float, scratch: FloatView
  ) -> Boundary {
    var entries = Entries(keys: keys, weights: weights, count: count)
    var (low, high, below) = (OrderedKey(bounds.lowest), OrderedKey(bounds.highest.nextUp), 0.0)
    var round = 0
    while low.bits + 1 < high.bits {
      let thresholds = thresholds(low, high, round: round, span: span)
      let weights = entries.weightBelow(thresholds)
      var passed = 0.0
      for index in 0..<fan {
        let threshold = OrderedKey(thresholds[index])
        if below + weights[index] > budget {
          high = min(high, threshold)
        } else if threshold > low, threshold < high {
          (low, passed) = (threshold, weights[index])
        }
      }
      below += passed
      entries.compress(from: low.value, below: high.value, into: scratch)
      round += 1
    }
    return Boundary(key: low.value, below: below)
  }

  /// Ascending, above `low` and not above `high`.
  private static func thresholds(
    _ low: OrderedKey, _ high: OrderedKey, round: Int, span: Float
  ) -> SIMD8<Float> {
    var result = SIMD8<Float>(repeating: high.value)
    let start = round == 0 ? max(low.value, high.value - span) : low.value
    let isLinear = round < linearRounds && high.value - start <= 2 * span
    for index in 0..<fan {
      // The first round tries its start too, because the key may lie below it.
      let share = round == 0 ? Double(index) / Double(fan) : Double(index + 1) / Double(fan + 1)
      let key =
        isLinear
        ? OrderedKey(start + (high.value - start) * Float(share))
        : OrderedKey(bits: Int32(Int(low.bits) + Int(Double(Int(high.bits) - Int(low.bits)) * share)))
      result[index] = min(max(key, OrderedKey(bits: low.bits + 1)), high).value
    }
    return result
  }
}

/// A float as an integer of the same order.
private struct OrderedKey: Comparable {
  let bits: Int32

  init(bits: Int32) { self.bits = bits }

  init(_ value: Float) {
    let pattern = Int32(bitPattern: value.bitPattern)
    bits = pattern < 0 ? Int32.min &- pattern &- 1 : pattern
  }

  var value: Float {
    Float(bitPattern: UInt32(bitPattern: bits < 0 ? Int32.min &- bits &- 1 : bits))
  }

  static func < (left: OrderedKey, right: OrderedKey) -> Bool { left.bits < right.bits }
}

/// Keys with their weights.
private struct Entries {
  var keys: UnsafePointer<Float>
  var weights: UnsafePointer<Float>?
  var count: Int

  /// The weight of the entries below each of eight thresholds.
  func weightBelow(_ thresholds: SIMD8<Float>) -> SIMD8<Double> {
    if let weights { return weightBelow(thresholds) { load(weights + $0, $1) } }
    return weightBelow(thresholds) { _, _ in Vector(repeating: 1) }
  }

  @inline(__always)
  private func weightBelow(
    _ thresholds: SIMD8<Float>, _ weight: (_ offset: Int, _ lanes: Int) -> Vector
  ) -> SIMD8<Double> {
    let (t0, t1) = (Vector(repeating: thresholds[0]), Vector(repeating: thresholds[1]))
    let (t2, t3) = (Vector(repeating: thresholds[2]), Vector(repeating: thresholds[3]))
    let (t4, t5) = (Vector(repeating: thresholds[4]), Vector(repeating: thresholds[5]))
    let (t6, t7) = (Vector(repeating: thresholds[6]), Vector(repeating: thresholds[7]))
    var total = SIMD8<Double>.zero
    // So many weights are added in Float32 before they join a sum in Float64.
    let runLength = 64 * Vector.lanes
    for start in stride(from: 0, to: count, by: runLength) {
      var (s0, s1, s2, s3) = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)
      var (s4, s5, s6, s7) = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)
      forEachVector(in: min(runLength, count - start)) { i, lanes in
        let key = load(keys + start + i, lanes, fill: .infinity)
        let w = weight(start + i, lanes)
        s0 += simd_keep_below(w, key, t0)
        s1 += simd_keep_below(w, key, t1)
        s2 += simd_keep_below(w, key, t2)
        s3 += simd_keep_below(w, key, t3)
        s4 += simd_keep_below(w, key, t4)
        s5 += simd_keep_below(w, key, t5)
        s6 += simd_keep_below(w, key, t6)
        s7 += simd_keep_below(w, key, t7)
      }
      total += SIMD8(
        Double(simd_sum(s0)), Double(simd_sum(s1)), Double(simd_sum(s2)), Double(simd_sum(s3)), Double(simd_sum(s4)),
        Double(simd_sum(s5)), Double(simd_sum(s6)), Double(simd_sum(s7)))
    }
    return total
  }

  /// Keeps the entries with low ≤ key < high, in scratch memory, which may already hold these entries.
  mutating func compress(from low: Float, below high: Float, into scratch: FloatView) {
    let keptKeys = scratch.base
    let keptWeights = scratch.base + scratch.count / 2
    var kept = 0
    forEachVector(in: count) { i, lanes in
      let key = load(keys + i, lanes, fill: .infinity)
      let bits = simd_bits_between(key, Vector(repeating: low), Vector(repeating: high))
      simd_compress(key, bits).store(at: keptKeys + kept)
      if let weights { simd_compress(load(weights + i, lanes), bits).store(at: keptWeights + kept) }
      kept += bits.nonzeroBitCount
    }
    keys = UnsafePointer(keptKeys)
    if weights != nil { weights = UnsafePointer(keptWeights) }
    count = kept
  }
}
