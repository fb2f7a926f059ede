/// The element types of safetensors, in the format's own order of increasing alignment, which its writers sort by.
package enum TensorType: String, Sendable, CaseIterable {
  /// One byte, 0 or 1.
  case bool = "BOOL"
  /// Microscaling float, 4 bits.
  case f4 = "F4"
  /// Microscaling float, 6 bits, 2 of exponent.
  case f6e2m3 = "F6_E2M3"
  /// Microscaling float, 6 bits, 3 of exponent.
  case f6e3m2 = "F6_E3M2"
  /// Unsigned, 8 bits.
  case u8 = "U8"
  /// Signed, 8 bits.
  case i8 = "I8"
  /// Float, 8 bits, 5 of exponent.
  case f8e5m2 = "F8_E5M2"
  /// Float, 8 bits, 4 of exponent.
  case f8e4m3 = "F8_E4M3"
  /// Power of two, 8 bits.
  case f8e8m0 = "F8_E8M0"
  /// Float, 8 bits, 4 of exponent, no negative zero.
  case f8e4m3fnuz = "F8_E4M3FNUZ"
  /// Float, 8 bits, 5 of exponent, no negative zero.
  case f8e5m2fnuz = "F8_E5M2FNUZ"
  /// Signed, 16 bits.
  case i16 = "I16"
  /// Unsigned, 16 bits.
  case u16 = "U16"
  /// IEEE half precision.
  case f16 = "F16"
  /// The upper half of a Float32.
  case bf16 = "BF16"
  /// Signed, 32 bits.
  case i32 = "I32"
  /// Unsigned, 32 bits.
  case u32 = "U32"
  /// IEEE single precision.
  case f32 = "F32"
  /// Complex of two Float32.
  case c64 = "C64"
  /// IEEE double precision.
  case f64 = "F64"
  /// Signed, 64 bits.
  case i64 = "I64"
  /// Unsigned, 64 bits.
  case u64 = "U64"

  /// Bits of one element.
  package var bits: Int {
    switch self {
    case .f4: 4
    case .f6e2m3, .f6e3m2: 6
    case .bool, .u8, .i8, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz, .f8e5m2fnuz: 8
    case .i16, .u16, .f16, .bf16: 16
    case .i32, .u32, .f32: 32
    case .c64, .f64, .i64, .u64: 64
    }
  }

  /// Position in the order of increasing alignment.
  package var alignmentRank: Int { Self.ranks[self] ?? 0 }

  private static let ranks = Dictionary(uniqueKeysWithValues: zip(allCases, 0...))
}

/// One tensor of a safetensors file.
package struct TensorRecord: Sendable, Equatable {
  /// The tensor's name.
  package let name: String
  /// Its element type.
  package let type: TensorType
  /// Its dimensions; empty for a scalar.
  package let shape: [Int]
  /// Where its bytes are, counted from the start of the file; always inside the file.
  package let byteRange: Range<Int>

  /// Number of elements; the shape was checked against overflow when the file was opened.
  package var elementCount: Int { shape.reduce(1, *) }
}
