/// Conversions between Float32 and the narrower formats of weight files, exact or rounded to nearest even.
///
/// The loops are branch-free on integers, so that they vectorise with plain SSE2 as well as with AVX-512.
package enum FloatConversion {
  /// The value of a bfloat16 bit pattern.
  @inline(__always)
  package static func float(bfloat16 bits: UInt16) -> Float {
    Float(bitPattern: UInt32(bits) &<< 16)
  }

  /// The value of an IEEE half-precision bit pattern; a NaN comes out quiet with its payload kept.
  @inline(__always)
  package static func float(float16 bits: UInt16) -> Float {
    let magnitude = UInt32(bits & 0x7fff)
    let sign = UInt32(bits & 0x8000) &<< 16
    let shifted = magnitude &<< 13
    let normal = shifted &+ (112 &<< 23)
    // 2⁻¹⁴·(1 + m/1024) − 2⁻¹⁴ is the subnormal m·2⁻²⁴, without a subnormal Float32 on the way.
    let base: UInt32 = 113 &<< 23
    let subnormal = (Float(bitPattern: base &+ shifted) - Float(bitPattern: base)).bitPattern
    let special = (shifted | 0x7f80_0000) | (magnitude > 0x7c00 ? 0x0040_0000 : 0)
    let finite = magnitude < 0x0400 ? subnormal : normal
    return Float(bitPattern: sign | (magnitude >= 0x7c00 ? special : finite))
  }

  /// The nearest bfloat16, ties to even; a NaN stays one and is made quiet.
  @inline(__always)
  package static func bfloat16(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let rounded = (bits &+ 0x7fff &+ ((bits &>> 16) & 1)) &>> 16
    let quiet = (bits &>> 16) | 0x0040
    let isNaN = bits & 0x7fff_ffff > 0x7f80_0000
    return UInt16(truncatingIfNeeded: isNaN ? quiet : rounded)
  }

  /// The nearest IEEE half-precision number, ties to even.
  ///
  /// What is too large becomes infinite; a NaN stays one and is made quiet.
  @inline(__always)
  package static func float16(_ value: Float) -> UInt16 {
    let magnitude = value.bitPattern & 0x7fff_ffff
    let sign = (value.bitPattern &>> 16) & 0x8000
    let normal = (magnitude &+ 0x0fff &+ ((magnitude &>> 13) & 1) &- (112 &<< 23)) &>> 13
    // The last place of 0.5 is 2⁻²⁴, so the addition itself rounds to the subnormal grid.
    let subnormal = (Float(bitPattern: magnitude) + 0.5).bitPattern &- Float(0.5).bitPattern
    let quiet = 0x7e00 | ((magnitude &>> 13) & 0x03ff)
    let finite = magnitude < 0x3880_0000 ? subnormal : normal
    let bounded = magnitude >= 0x4780_0000 ? 0x7c00 : finite
    return UInt16(truncatingIfNeeded: sign | (magnitude > 0x7f80_0000 ? quiet : bounded))
  }

  /// Whether tensors of a type can be read as Float32.
  package static func canRead(_ type: TensorType) -> Bool {
    switch type {
    case .f32, .f16, .bf16, .f64: true
    default: false
    }
  }

  /// Whether tensors of a type can be written from Float32.
  package static func canWrite(_ type: TensorType) -> Bool {
    switch type {
    case .f32, .f16, .bf16: true
    default: false
    }
  }

  /// Reads `target.count` values; source bytes may have any alignment, as old files have headers of any length.
  static func read(_ type: TensorType, _ source: UnsafeRawBufferPointer, into target: UnsafeMutableBufferPointer<Float>)
  {
    guard let input = source.baseAddress, let output = target.baseAddress else { return }
    switch type {
    case .f32: UnsafeMutableRawPointer(output).copyMemory(from: input, byteCount: 4 * target.count)
    case .bf16: for i in 0..<target.count { output[i] = float(bfloat16: load(input, i)) }
    case .f16: for i in 0..<target.count { output[i] = float(float16: load(input, i)) }
    case .f64: for i in 0..<target.count { output[i] = Float(load(input, i) as Double) }
    default: preconditionFailure("\(type.rawValue) cannot be read as Float32")
    }
  }

  /// Writes `source.count` values of a 16-bit type.
  static func write(_ type: TensorType, _ source: UnsafeBufferPointer<Float>, into target: UnsafeMutablePointer<UInt16>)
  {
    guard let input = source.baseAddress else { return }
    switch type {
    case .bf16: for i in 0..<source.count { target[i] = bfloat16(input[i]) }
    case .f16: for i in 0..<source.count { target[i] = float16(input[i]) }
    default: preconditionFailure("\(type.rawValue) is not a 16-bit float")
    }
  }

  @inline(__always)
  private static func load<Value: BitwiseCopyable>(_ base: UnsafeRawPointer, _ index: Int) -> Value {
    base.loadUnaligned(fromByteOffset: index &* MemoryLayout<Value>.stride, as: Value.self)
  }
}
