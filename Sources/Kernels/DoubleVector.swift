import CSIMD

/// Eight doubles: one AVX-512 register, two AVX2 registers.
typealias DoubleVector = SIMD8<Double>

extension DoubleVector {
  @inline(__always) static var lanes: Int { 8 }

  /// The eight elements from an address of any alignment.
  @inline(__always) init(at address: UnsafePointer<Double>) {
    self = UnsafeRawPointer(address).loadUnaligned(as: DoubleVector.self)
  }

  @inline(__always) init(at address: UnsafeMutablePointer<Double>) { self.init(at: UnsafePointer(address)) }

  /// The first `count` elements from an address, the other lanes filled.
  @inline(__always) init(partialAt address: UnsafePointer<Double>, count: Int, fill: Double) {
    self.init(repeating: fill)
    for lane in 0..<count { self[lane] = address[lane] }
  }

  @inline(__always) func store(at address: UnsafeMutablePointer<Double>) {
    UnsafeMutableRawPointer(address).storeBytes(of: self, as: DoubleVector.self)
  }
}

/// Stores a full vector or, at the end of a row, a partial one.
@inline(__always)
func store(_ value: DoubleVector, _ address: UnsafeMutablePointer<Double>, _ lanes: Int) {
  guard lanes < DoubleVector.lanes else { return value.store(at: address) }
  for lane in 0..<lanes { address[lane] = value[lane] }
}

/// Loads a full vector or, at the end of a row, a partial one.
@inline(__always)
func load(_ address: UnsafePointer<Double>, _ lanes: Int, fill: Double = 0) -> DoubleVector {
  lanes == DoubleVector.lanes
    ? DoubleVector(at: address) : DoubleVector(partialAt: address, count: lanes, fill: fill)
}

/// Calls `body(offset, count)` for runs of eight elements, the last one shorter where `count` is no multiple.
@inline(__always)
func forEachDoubleVector(in count: Int, _ body: (_ offset: Int, _ lanes: Int) -> Void) {
  var offset = 0
  while offset + DoubleVector.lanes <= count {
    body(offset, DoubleVector.lanes)
    offset += DoubleVector.lanes
  }
  if offset < count { body(offset, count - offset) }
}

/// eˣ, relative error below 5·10⁻¹⁶; arguments below −708 give about 10⁻³⁰⁸, above 709 about 10³⁰⁸, NaN gives NaN.
///
/// x = n·ln 2 + r with |r| ≤ ½ ln 2; eʳ by its Taylor polynomial of degree 13.
@inline(__always)
func exponential(_ x: DoubleVector) -> DoubleVector {
  let bounded = simd_bound_above_double(
    DoubleVector(repeating: 709), simd_bound_below_double(DoubleVector(repeating: -708), x))
  let n = simd_round_double(bounded * DoubleVector(repeating: 0x1.71547652b82fep+0))
  let high = simd_fma_double(n, DoubleVector(repeating: -0x1.62e42fefa3800p-1), bounded)
  let r = simd_fma_double(n, DoubleVector(repeating: -0x1.ef35793c76730p-45), high)
  var sum = DoubleVector(repeating: 1.0 / 6_227_020_800)
  sum = simd_fma_double(sum, r, DoubleVector(repeating: 1.0 / 479_001_600))
  sum = simd_fma_double(sum, r, DoubleVector(repeating: 1.0 / 39_916_800))
  sum = simd_fma_double(sum, r, DoubleVector(repeating: 1.0 / 3_628_800))
  sum = simd_fma_double(sum, r, DoubleVector(repeating: 1.0 / 362_880))
  sum = simd_fma_double(sum, r, DoubleVector(repeating: 1.0 / 40_320))
  sum = simd_fma_double(sum, r, DoubleVector(repeating: 1.0 / 5_040))
  sum = simd_fma_double(sum, r, DoubleVector(repeating: 1.0 / 720))
  sum = simd_fma_double(sum, r, DoubleVector(repeating: 1.0 / 120))
  sum = simd_fma_double(sum, r, DoubleVector(repeating: 1.0 / 24))
  sum = simd_fma_double(sum, r, DoubleVector(repeating: 1.0 / 6))
  sum = simd_fma_double(sum, r, DoubleVector(repeating: 0.5))
  sum = simd_fma_double(sum, r, DoubleVector(repeating: 1))
  sum = simd_fma_double(sum, r, DoubleVector(repeating: 1))
  return simd_scale_double_by_power_of_two(sum, n)
}

/// cos x, absolute error below 4·10⁻¹⁶ for |x| below 10⁵.
///
/// x = n·π + r with |r| ≤ ½π; cos r by its Taylor polynomial of degree 20.
@inline(__always)
func cosine(_ x: DoubleVector) -> DoubleVector {
  let n = simd_round_double(x * DoubleVector(repeating: 0x1.45f306dc9c883p-2))
  let high = simd_fma_double(n, DoubleVector(repeating: -0x1.921fb54442d18p+1), x)
  let r = simd_fma_double(n, DoubleVector(repeating: -0x1.1a62633145c07p-53), high)
  let square = r * r
  var sum = DoubleVector(repeating: 1.0 / 2_432_902_008_176_640_000)
  sum = simd_fma_double(sum, square, DoubleVector(repeating: -1.0 / 6_402_373_705_728_000))
  sum = simd_fma_double(sum, square, DoubleVector(repeating: 1.0 / 20_922_789_888_000))
  sum = simd_fma_double(sum, square, DoubleVector(repeating: -1.0 / 87_178_291_200))
  sum = simd_fma_double(sum, square, DoubleVector(repeating: 1.0 / 479_001_600))
  sum = simd_fma_double(sum, square, DoubleVector(repeating: -1.0 / 3_628_800))
  sum = simd_fma_double(sum, square, DoubleVector(repeating: 1.0 / 40_320))
  sum = simd_fma_double(sum, square, DoubleVector(repeating: -1.0 / 720))
  sum = simd_fma_double(sum, square, DoubleVector(repeating: 1.0 / 24))
  sum = simd_fma_double(sum, square, DoubleVector(repeating: -0.5))
  sum = simd_fma_double(sum, square, DoubleVector(repeating: 1))
  return simd_alternate_sign(sum, n)
}
