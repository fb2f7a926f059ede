/// Reading single scalars of valid UTF-8.
extension Span<UInt8> {
  /// Length in bytes of the scalar that starts at a position.
  func scalarLength(at position: Int) -> Int {
    switch self[position] {
    case ..<0x80: 1
    case ..<0xE0: 2
    case ..<0xF0: 3
    default: 4
    }
  }

  /// The scalar that starts at a position.
  func scalar(at position: Int) -> Unicode.Scalar {
    let length = scalarLength(at: position)
    if length == 1 { return Unicode.Scalar(self[position]) }
    var value = UInt32(self[position]) & (0x7F >> UInt32(length))
    for offset in 1..<length { value = value << 6 | UInt32(self[position + offset] & 0x3F) }
    // Never nil for valid UTF-8.
    return Unicode.Scalar(value) ?? "\u{FFFD}"
  }

  /// Start of the scalar that ends before a position greater than 0.
  func scalarStart(before position: Int) -> Int {
    var start = position - 1
    while start > 0, self[start] & 0xC0 == 0x80 { start -= 1 }
    return start
  }
}

extension Unicode.Scalar {
  /// Whether this is one of the numbers `Nd`, `Nl`, `No`, as `char::is_numeric` of Rust.
  var isNumber: Bool {
    if isASCII { return ("0"..."9").contains(self) }
    return switch properties.generalCategory {
    case .decimalNumber, .letterNumber, .otherNumber: true
    default: false
    }
  }

  /// Whether `\w` of Rust's regular expressions matches (Unicode Technical Standard 18, annex C).
  ///
  /// Their tables are of Unicode 16; scalars that came later, which Swift knows, are unassigned there.
  var isWordCharacter: Bool {
    if let age = properties.age, age.major > 16 { return false }
    if properties.isAlphabetic || properties.isJoinControl { return true }
    return switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: true
    default: false
    }
  }
}
