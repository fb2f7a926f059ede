import AlignmentCore
import CSIMD

/// Sixteen floats: one AVX-512 register, two AVX2 registers.
typealias Vector = SIMD16<Float>

extension Vector {
  @inline(__always) static var lanes: Int { 16 }

  /// The sixteen elements from an address of any alignment.
  @inline(__always) init(at address: UnsafePointer<Float>) {
    self = UnsafeRawPointer(address).loadUnaligned(as: Vector.self)
  }

  @inline(__always) init(at address: UnsafeMutablePointer<Float>) {
    self = UnsafeRawPointer(address).loadUnaligned(as: Vector.self)
  }

  /// The first `count` elements from an address, the other lanes filled.
  @inline(__always) init(partialAt address: UnsafePointer<Float>, count: Int, fill: Float = 0) {
    self.init(repeating: fill)
    var lane = 0
    if count >= 8 {
      lowHalf = UnsafeRawPointer(address).loadUnaligned(as: SIMD8<Float>.self)
      lane = 8
    }
    while lane < count {
      self[lane] = address[lane]
      lane += 1
    }
  }

  @inline(__always) func store(at address: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(address).storeBytes(of: self, as: Vector.self)
  }

  @inline(__always) func store(partialAt address: UnsafeMutablePointer<Float>, count: Int) {
    var lane = 0
    if count >= 8 {
      UnsafeMutableRawPointer(address).storeBytes(of: lowHalf, as: SIMD8<Float>.self)
      lane = 8
    }
    while lane < count {
      address[lane] = self[lane]
      lane += 1
    }
  }
}

/// Calls `body(offset, count)` for runs of sixteen elements, the last one shorter where `count` is no multiple.
@inline(__always)
func forEachVector(in count: Int, _ body: (_ offset: Int, _ lanes: Int) -> Void) {
  var offset = 0
  while offset + Vector.lanes <= count {
    body(offset, Vector.lanes)
    offset += Vector.lanes
  }
  if offset < count { body(offset, count - offset) }
}

/// Loads a full vector or, at the end of a row, a partial one.
@inline(__always)
func load(_ address: UnsafePointer<Float>, _ lanes: Int, fill: Float = 0) -> Vector {
  lanes == Vector.lanes ? Vector(at: address) : Vector(partialAt: address, count: lanes, fill: fill)
}

@inline(__always)
func load(_ address: UnsafeMutablePointer<Float>, _ lanes: Int, fill: Float = 0) -> Vector {
  load(UnsafePointer(address), lanes, fill: fill)
}

/// Stores a full vector or, at the end of a row, a partial one.
@inline(__always)
func store(_ value: Vector, _ address: UnsafeMutablePointer<Float>, _ lanes: Int) {
  if lanes == Vector.lanes { value.store(at: address) } else { value.store(partialAt: address, count: lanes) }
}

/// eˣ, relative error below 2·10⁻⁷; arguments below −87 give about 10⁻³⁸, above 88 about 10³⁸,
/// NaN gives NaN.
///
/// x = n·ln 2 + r with |r| ≤ ½ ln 2; eʳ by its Taylor polynomial of degree 7.
@inline(__always)
func exponential(_ x: Vector) -> Vector {
  let bounded = simd_bound_above(Vector(repeating: 88), simd_bound_below(Vector(repeating: -87), x))
  let n = simd_round(bounded * Vector(repeating: 1.442_695_04))
  let high = simd_fma(n, Vector(repeating: -0.693_359_375), bounded)
  let r = simd_fma(n, Vector(repeating: 2.121_944_4e-4), high)
  var polynomial = Vector(repeating: 1.0 / 5040)
  polynomial = simd_fma(polynomial, r, Vector(repeating: 1.0 / 720))
  polynomial = simd_fma(polynomial, r, Vector(repeating: 1.0 / 120))
  polynomial = simd_fma(polynomial, r, Vector(repeating: 1.0 / 24))
  polynomial = simd_fma(polynomial, r, Vector(repeating: 1.0 / 6))
  polynomial = simd_fma(polynomial, r, Vector(repeating: 0.5))
  polynomial = simd_fma(polynomial, r, Vector(repeating: 1))
  polynomial = simd_fma(polynomial, r, Vector(repeating: 1))
  return simd_scale_by_power_of_two(polynomial, n)
}
