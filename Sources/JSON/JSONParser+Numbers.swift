extension JSONParser {
  /// Parses a number; without fraction and exponent it is an integer if it fits.
  mutating func parseNumber() throws(JSONError) -> JSONValue {
    let start = position
    if current == UInt8(ascii: "-") { position += 1 }
    try skipIntegerPart()
    let hasFraction = try skipFraction()
    let hasExponent = try skipExponent()
    if !hasFraction, !hasExponent, let value = integer(from: start) { return .integer(value) }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    guard let value = Double(text), value.isFinite else {
      throw JSONError(
        offset: start, message: "expected a number within the range of a double, found \(text.prefix(40))")
    }
    return .double(value)
  }

  private mutating func skipIntegerPart() throws(JSONError) {
    if current == UInt8(ascii: "0") {
      position += 1
      if isDigit { throw failure(expected: "a number without leading zeros") }
    } else {
      try skipDigits()
    }
  }

  private mutating func skipFraction() throws(JSONError) -> Bool {
    guard current == UInt8(ascii: ".") else { return false }
    position += 1
    try skipDigits()
    return true
  }

  private mutating func skipExponent() throws(JSONError) -> Bool {
    guard current == UInt8(ascii: "e") || current == UInt8(ascii: "E") else { return false }
    position += 1
    if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
    try skipDigits()
    return true
  }

  private mutating func skipDigits() throws(JSONError) {
    guard isDigit else { throw failure(expected: "a digit") }
    while isDigit { position += 1 }
  }

  private var isDigit: Bool {
    guard let byte = current else { return false }
    return byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
  }

  /// The integer written from `start` to here, nil if it does not fit into 64 bits.
  private func integer(from start: Int) -> Int64? {
    let isNegative = bytes[start] == UInt8(ascii: "-")
    var value: Int64 = 0
    for byte in bytes[(isNegative ? start + 1 : start)..<position] {
      let (product, overflowed) = value.multipliedReportingOverflow(by: 10)
      let digit = Int64(byte - UInt8(ascii: "0"))
      let (sum, carried) = product.subtractingReportingOverflow(digit)
      if overflowed || carried { return nil }
      value = sum
    }
    // Accumulated as a negative number, whose range is larger by one.
    if isNegative { return value }
    return value == .min ? nil : -value
  }
}
