extension JSONValue {
  /// Parses a complete text by the strict grammar of RFC 8259.
  ///
  /// Linear in the length of the text. Integers beyond 64 bits become doubles; nesting is limited to 512 levels.
  package static func parse(
    _ bytes: UnsafeBufferPointer<UInt8>, duplicateKeys: DuplicateKeys = .reject
  ) throws(JSONError) -> JSONValue {
    var parser = JSONParser(bytes: bytes, duplicateKeys: duplicateKeys)
    return try parser.parseText()
  }

  /// Parses a complete text held in an array.
  package static func parse(
    _ bytes: [UInt8], duplicateKeys: DuplicateKeys = .reject
  ) throws(JSONError) -> JSONValue {
    let result = bytes.withUnsafeBufferPointer { buffer -> Result<JSONValue, JSONError> in
      Result { () throws(JSONError) in try parse(buffer, duplicateKeys: duplicateKeys) }
    }
    return try result.get()
  }
}

/// A recursive-descent parser over bytes that outlive it.
struct JSONParser {
  /// Deepest nesting of arrays and objects, far from the end of any stack.
  static let maximumDepth = 512

  /// The text, owned by the caller.
  let bytes: UnsafeBufferPointer<UInt8>
  /// What to do about equal keys.
  let duplicateKeys: JSONValue.DuplicateKeys
  /// Offset of the next byte.
  var position = 0
  private var depth = 0

  /// Starts at the first byte.
  init(bytes: UnsafeBufferPointer<UInt8>, duplicateKeys: JSONValue.DuplicateKeys) {
    self.bytes = bytes
    self.duplicateKeys = duplicateKeys
  }

  /// The next byte, nil at the end.
  var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  /// Parses one value that must be the whole text.
  mutating func parseText() throws(JSONError) -> JSONValue {
    skipSpace()
    let value = try parseValue()
    skipSpace()
    guard position == bytes.count else { throw failure(expected: "the end of the text after the value") }
    return value
  }

  /// Parses the value that starts here.
  private mutating func parseValue() throws(JSONError) -> JSONValue {
    switch current {
    case UInt8(ascii: "{"): return .object(try parseObject())
    case UInt8(ascii: "["): return .array(try parseArray())
    case UInt8(ascii: "\""): return .string(try parseString())
    case UInt8(ascii: "-"): return try parseNumber()
    case let digit? where digit >= UInt8(ascii: "0") && digit <= UInt8(ascii: "9"): return try parseNumber()
    case UInt8(ascii: "t"): return try parseLiteral("true", .bool(true))
    case UInt8(ascii: "f"): return try parseLiteral("false", .bool(false))
    case UInt8(ascii: "n"): return try parseLiteral("null", .null)
    default: throw failure(expected: "a value")
    }
  }

  private mutating func parseArray() throws(JSONError) -> [JSONValue] {
    try enter()
    var elements: [JSONValue] = []
    if !skipClosing(UInt8(ascii: "]")) {
      repeat {
        skipSpace()
        elements.append(try parseValue())
      } while try !endsAfterItem(closing: UInt8(ascii: "]"), expected: "',' or ']' after an element")
    }
    depth -= 1
    return elements
  }

  private mutating func parseObject() throws(JSONError) -> JSONObject {
    try enter()
    var members = JSONMemberList(duplicateKeys: duplicateKeys)
    if !skipClosing(UInt8(ascii: "}")) {
      repeat {
        try parseMember(into: &members)
      } while try !endsAfterItem(closing: UInt8(ascii: "}"), expected: "',' or '}' after a member")
    }
    depth -= 1
    return JSONObject(distinct: members.members)
  }

  private mutating func parseMember(into members: inout JSONMemberList) throws(JSONError) {
    skipSpace()
    let start = position
    guard current == UInt8(ascii: "\"") else { throw failure(expected: "a key in double quotes") }
    let key = try parseString()
    skipSpace()
    guard current == UInt8(ascii: ":") else { throw failure(expected: "':' after a key") }
    position += 1
    skipSpace()
    let value = try parseValue()
    guard members.append(key, value) else {
      throw JSONError(offset: start, message: "expected distinct keys, found \"\(key)\" twice")
    }
  }

  private mutating func enter() throws(JSONError) {
    guard depth < Self.maximumDepth else {
      throw JSONError(offset: position, message: "expected at most \(Self.maximumDepth) levels of nesting")
    }
    depth += 1
    position += 1
  }

  /// Steps over the closing bracket of an empty array or object.
  private mutating func skipClosing(_ closing: UInt8) -> Bool {
    skipSpace()
    guard current == closing else { return false }
    position += 1
    return true
  }

  /// Steps over the comma or the closing bracket after an item; true at the bracket.
  private mutating func endsAfterItem(closing: UInt8, expected: String) throws(JSONError) -> Bool {
    skipSpace()
    guard let byte = current, byte == closing || byte == UInt8(ascii: ",") else { throw failure(expected: expected) }
    position += 1
    return byte == closing
  }

  private mutating func parseLiteral(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
    let count = word.utf8CodeUnitCount
    let matches =
      position + count <= bytes.count && (0..<count).allSatisfy { bytes[position + $0] == word.utf8Start[$0] }
    guard matches else { throw JSONError(offset: position, message: "expected \(word)") }
    position += count
    return value
  }

  private mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  /// An error at the current position that names what is there instead.
  func failure(expected: String) -> JSONError {
    let found =
      switch current {
      case nil: "the end of the text"
      case let byte? where byte > 0x20 && byte < 0x7F: "'\(Character(Unicode.Scalar(byte)))'"
      case let byte?: "byte 0x" + String(byte, radix: 16, uppercase: true)
      }
    return JSONError(offset: position, message: "expected \(expected), found \(found)")
  }
}
