import AlignmentCore
import Kernels

#if canImport(Glibc)
  import Glibc
#endif

/// Adds the gradients of all units of a step over all ranks and leaves each rank the mean of its shard.
package final class GradientReduction {
  /// How gradients are added.
  package enum Mode: String, CaseIterable, Sendable {
    /// 64-bit fixed point: the same bits for any number of ranks and any assignment of units.
    case exact
    /// Float32: half the traffic; the same bits only for the same number of ranks.
    case fast
  }

  package let mode: Mode
  private let sharding: Sharding
  private let communicator: any Communicator
  /// One Int64 (exact) or one Float (fast) per parameter, and the scratch of the ring.
  private let integers: IntegerBuffer?
  private let integerScratch: IntegerBuffer?
  private let floats: FloatBuffer?
  private let floatScratch: FloatBuffer?
  /// Exponents of the normaliser for which every scaled term and the scale itself are normal Float32 numbers.
  private static let exponents = -60...60
  private var exponent = 0
  private var limit: Float = 0

  package init(_ mode: Mode, _ sharding: Sharding, over communicator: any Communicator) throws {
    self.mode = mode
    self.sharding = sharding
    self.communicator = communicator
    let purpose = "gradient sums"
    integers = mode == .exact ? try IntegerBuffer(count: sharding.count, purpose: purpose) : nil
    integerScratch = mode == .exact ? try IntegerBuffer(count: Ring.pieceCount, purpose: purpose) : nil
    floats = mode == .fast ? try FloatBuffer(count: sharding.count, purpose: purpose) : nil
    floatScratch = mode == .fast ? try FloatBuffer(count: Ring.pieceCount, purpose: purpose) : nil
  }

  /// Clears the sums.
  ///
  /// - Parameters:
  ///   - scale: about how large the total will be: what it will be divided by, times how large the mean is. Terms are
  ///     scaled by the power of two nearest to it; beyond 2^±60 exact sums refuse every term that is not 0.
  ///   - terms: how many gradients will be added over all ranks.
  package func begin(scale: Double, terms: Int) {
    let nearest = log2(scale).rounded()
    let isUsable = nearest >= Double(Self.exponents.lowerBound) && nearest <= Double(Self.exponents.upperBound)
    exponent = isUsable ? Int(nearest) : 0
    limit = isUsable ? 1024 / Float(max(terms, 1)) : 0
    if let integers { memset(integers.base, 0, integers.count * MemoryLayout<Int64>.stride) }
    if let floats { Elementwise.clear(floats.view) }
  }

  /// Adds the gradient of one unit.
  ///
  /// - Returns: whether every element was finite and, when exact, within the range of the sums.
  package func add(_ gradients: FloatView) -> Bool {
    if let integers {
      let scale = Float(sign: .plus, exponent: -exponent, significand: 1)
      return ExactSum.accumulate(gradients, scale: scale, limit: limit, into: integers.base)
    }
    guard let floats else { preconditionFailure("a reduction has integers or floats") }
    Elementwise.add(gradients.base, into: floats.view.base, count: gradients.count)
    return Elementwise.sumOfSquares(gradients).isFinite
  }

  /// The largest magnitude that an element of a unit's gradient may have.
  package var largestTerm: Double { mode == .exact ? Double(limit) * exp2(Double(exponent)) : .infinity }

  /// Adds the sums of all ranks and writes total / normalizer into the own shard of an arena.
  package func finish(normalizer: Double, into gradients: FloatView) throws {
    let shard = sharding.range(ofRank: communicator.rank)
    if let integers, let integerScratch {
      try Ring.reduceScatter(integers.base, sharding, scratch: integerScratch.base, over: communicator) {
        ExactSum.add($0, into: $1, count: $2)
      }
      ExactSum.convert(
        integers.base + shard.lowerBound, scale: exp2(Double(exponent)) / normalizer, into: gradients[shard])
    }
    if let floats, let floatScratch {
      try Ring.reduceScatter(floats.view.base, sharding, scratch: floatScratch.view.base, over: communicator) {
        Elementwise.add($0, into: $1, count: $2)
      }
      Elementwise.scale(floats.view[shard], by: Float(1 / normalizer), into: gradients[shard])
    }
  }
}
