/// GPT-2's one-to-one map between the 256 bytes and 256 visible characters (Radford et al. 2019, `encoder.py`).
enum ByteAlphabet {
  /// The scalar that stands for each byte.
  static let scalars: [Unicode.Scalar] = {
    var next: UInt32 = 0x100
    return (0...255).map { byte -> Unicode.Scalar in
      if isVisible(UInt8(byte)) { return Unicode.Scalar(UInt8(byte)) }
      defer { next += 1 }
      // Below 0x100 + 256, so never a surrogate.
      return Unicode.Scalar(next) ?? "\u{FFFD}"
    }
  }()

  /// The byte of each scalar below U+0144, nil where the scalar stands for none.
  private static let bytes: [UInt8?] = {
    var table: [UInt8?] = Array(repeating: nil, count: 0x144)
    for (byte, scalar) in scalars.enumerated() { table[Int(scalar.value)] = UInt8(byte) }
    return table
  }()

  /// The bytes that a token stands for, nil if one of its characters is outside the alphabet.
  static func unmapped(_ token: [UInt8]) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(token.count)
    for scalar in String(decoding: token, as: UTF8.self).unicodeScalars {
      guard scalar.value < 0x144, let byte = bytes[Int(scalar.value)] else { return nil }
      result.append(byte)
    }
    return result
  }

  private static func isVisible(_ byte: UInt8) -> Bool {
    (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
  }
}
