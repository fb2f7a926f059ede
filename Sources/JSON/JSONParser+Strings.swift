extension JSONParser {
  /// Parses the string whose opening quote is here.
  mutating func parseString() throws(JSONError) -> ByteString {
    position += 1
    let start = position
    try skipPlainText()
    if current == UInt8(ascii: "\"") {
      position += 1
      return ByteString(Array(bytes[start..<position - 1]))
    }
    var text = Array(bytes[start..<position])
    while current == UInt8(ascii: "\\") {
      try parseEscape(into: &text)
      let plain = position
      try skipPlainText()
      text.append(contentsOf: bytes[plain..<position])
    }
    position += 1
    return ByteString(text)
  }

  /// Steps to the next quote or backslash, validating the bytes between.
  private mutating func skipPlainText() throws(JSONError) {
    while position < bytes.count {
      let byte = bytes[position]
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return }
      if byte >= 0x80 {
        try skipMultibyteScalar()
      } else if byte >= 0x20 {
        position += 1
      } else {
        throw failure(expected: "control characters in a string to be escaped")
      }
    }
    throw failure(expected: "a closing '\"'")
  }

  /// Steps over a scalar of two to four bytes by the well-formed sequences of Unicode, table 3-7.
  private mutating func skipMultibyteScalar() throws(JSONError) {
    let lead = bytes[position]
    let (length, second): (Int, ClosedRange<UInt8>) =
      switch lead {
      case 0xC2...0xDF: (2, 0x80...0xBF)
      case 0xE0: (3, 0xA0...0xBF)
      case 0xED: (3, 0x80...0x9F)
      case 0xE1...0xEF: (3, 0x80...0xBF)
      case 0xF0: (4, 0x90...0xBF)
      case 0xF1...0xF3: (4, 0x80...0xBF)
      case 0xF4: (4, 0x80...0x8F)
      default: (0, 0...0)
      }
    let isValid =
      length > 0 && position + length <= bytes.count && second.contains(bytes[position + 1])
      && bytes[position + 2..<position + max(length, 2)].allSatisfy { $0 & 0xC0 == 0x80 }
    guard isValid else { throw failure(expected: "valid UTF-8") }
    position += length
  }

  private mutating func parseEscape(into text: inout [UInt8]) throws(JSONError) {
    position += 1
    switch current {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(bytes[position])
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"): return try parseUnicodeEscape(into: &text)
    default: throw failure(expected: "one of \"\\/bfnrtu after '\\'")
    }
    position += 1
  }

  private mutating func parseUnicodeEscape(into text: inout [UInt8]) throws(JSONError) {
    let start = position - 1
    let first = try parseCodeUnit()
    var units = [first]
    if UTF16.isLeadSurrogate(first), current == UInt8(ascii: "\\"), position + 1 < bytes.count,
      bytes[position + 1] == UInt8(ascii: "u")
    {
      position += 1
      units.append(try parseCodeUnit())
    }
    guard let scalar = Self.scalar(units) else {
      let name = String(first, radix: 16, uppercase: true)
      throw JSONError(offset: start, message: "expected a pair of surrogates, found a lone \\u\(name)")
    }
    text.append(contentsOf: String(scalar).utf8)
  }

  /// Parses the `u` and the four digits of an escape.
  private mutating func parseCodeUnit() throws(JSONError) -> UInt16 {
    position += 1
    var unit: UInt16 = 0
    for _ in 0..<4 {
      guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw failure(expected: "four hexadecimal digits after '\\u'")
      }
      unit = unit << 4 | UInt16(digit)
      position += 1
    }
    return unit
  }

  /// The scalar of one unit or of a surrogate pair, nil if they are not one scalar.
  private static func scalar(_ units: [UInt16]) -> Unicode.Scalar? {
    guard units.count == 2 else { return Unicode.Scalar(units[0]) }
    guard UTF16.isTrailSurrogate(units[1]) else { return nil }
    return Unicode.Scalar(0x10000 + (UInt32(units[0]) - 0xD800) << 10 + (UInt32(units[1]) - 0xDC00))
  }
}
