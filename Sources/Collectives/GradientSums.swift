import AlignmentCore
import Kernels

#if canImport(Glibc)
  import Glibc
#endif

/// One rank's sums of gradients, over an arena, and how they become those of all ranks.
protocol GradientSums: AnyObject {
  /// The largest magnitude that a term may have.
  var largestTerm: Double { get }
  /// Clears the sums; see ``GradientReduction/begin(scale:terms:)``.
  func begin(scale: Double, terms: Int)
  /// Whether every term is finite and not too large.
  func admits(_ terms: FloatView) -> Bool
  /// Adds terms from an element of the arena on, and says whether ``admits(_:)`` them.
  func add(_ terms: FloatView, at element: Int) -> Bool
  /// Adds up a bucket of all ranks.
  func reduce(bucket: Int, of sharding: Sharding, over transport: BucketTransport) throws
  /// means ← sums / `normalizer` in a range of the arena.
  func mean(of range: Range<Int>, normalizer: Double, into means: FloatView)
}

/// 64-bit fixed point: the same bits in any order.
final class ExactSums: GradientSums {
  private let sums: IntegerBuffer
  private let scratch: IntegerBuffer
  private var exponent = 0
  private var limit: Float = 0
  /// Exponents of the normaliser for which every scaled term and the scale itself are normal Float32 numbers.
  private static let exponents = -60...60

  init(_ sharding: Sharding) throws {
    sums = try IntegerBuffer(count: sharding.count, purpose: "gradient sums")
    scratch = try IntegerBuffer(count: sharding.largestPart, purpose: "gradient sums")
  }

  var largestTerm: Double { Double(limit) * exp2(Double(exponent)) }
  private var scale: Float { Float(sign: .plus, exponent: -exponent, significand: 1) }

  func begin(scale: Double, terms: Int) {
    let nearest = log2(scale).rounded()
    let isUsable = nearest >= Double(Self.exponents.lowerBound) && nearest <= Double(Self.exponents.upperBound)
    exponent = isUsable ? Int(nearest) : 0
    limit = isUsable ? 1024 / Float(max(terms, 1)) : 0
    memset(sums.base, 0, sums.count * MemoryLayout<Int64>.stride)
  }

  func admits(_ terms: FloatView) -> Bool { ExactSum.admits(terms, scale: scale, limit: limit) }

  func add(_ terms: FloatView, at element: Int) -> Bool {
    ExactSum.accumulate(terms, scale: scale, limit: limit, into: sums.base + element)
  }

  func reduce(bucket: Int, of sharding: Sharding, over transport: BucketTransport) throws {
    try transport.add(sums.base, sharding, bucket: bucket, scratch: scratch.base)
  }

  func mean(of range: Range<Int>, normalizer: Double, into means: FloatView) {
    ExactSum.convert(
      sums.base + range.lowerBound, scale: exp2(Double(exponent)) / normalizer, into: means[range])
  }
}

/// Float32: half the traffic, and bits that depend on the order.
final class FastSums: GradientSums {
  private let sums: FloatBuffer
  private let scratch: FloatBuffer

  init(_ sharding: Sharding) throws {
    sums = try FloatBuffer(count: sharding.count, purpose: "gradient sums")
    scratch = try FloatBuffer(count: sharding.largestPart, purpose: "gradient sums")
  }

  var largestTerm: Double { .infinity }

  func begin(scale: Double, terms: Int) { Elementwise.clear(sums.view) }

  func admits(_ terms: FloatView) -> Bool { Elementwise.sumOfSquares(terms).isFinite }

  func add(_ terms: FloatView, at element: Int) -> Bool {
    Elementwise.add(terms.base, into: sums.view[element..<element + terms.count].base, count: terms.count)
    return admits(terms)
  }

  func reduce(bucket: Int, of sharding: Sharding, over transport: BucketTransport) throws {
    try transport.add(sums.view.base, sharding, bucket: bucket, scratch: scratch.view.base)
  }

  func mean(of range: Range<Int>, normalizer: Double, into means: FloatView) {
    Elementwise.scale(sums.view[range], by: Float(1 / normalizer), into: means[range])
  }
}
