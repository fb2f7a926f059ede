import AlignmentCore
import JSON

/// The text of a row of JSONL, changed in one place and left alone everywhere else.
package struct RowText: Sendable {
  /// A JSON object without a line end.
  package private(set) var bytes: [UInt8]

  /// Takes a row that was decoded without a fault, so that it is known to be a sound object.
  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Gives a member a value: in the place of its old one, or else at the end.
  package mutating func set(_ key: ByteString, to value: JSONValue) {
    let text = value.serialized()
    var scanner = MemberScanner(bytes)
    if let old = scanner.value(of: key) { return bytes.replaceSubrange(old, with: text) }
    let member = JSONValue.string(key).serialized() + [UInt8(ascii: ":")] + text
    bytes.insert(contentsOf: (scanner.isEmpty ? [] : [UInt8(ascii: ",")]) + member, at: scanner.end)
  }
}

/// Finds the members of an object that is known to be valid JSON.
private struct MemberScanner {
  private let bytes: [UInt8]
  private var position = 0
  /// Whether the object has no members; known when a key was looked for.
  private(set) var isEmpty = true

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Where the closing brace stands.
  var end: Int { bytes.lastIndex(of: UInt8(ascii: "}")) ?? bytes.count }

  /// Where the value of a key stands, if the object has it.
  mutating func value(of key: ByteString) -> Range<Int>? {
    position = (bytes.firstIndex(of: UInt8(ascii: "{")) ?? 0) + 1
    while true {
      skip { Self.isSpace($0) || $0 == UInt8(ascii: ",") }
      guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else { return nil }
      isEmpty = false
      let name = skipValue()
      skip { Self.isSpace($0) || $0 == UInt8(ascii: ":") }
      let value = skipValue()
      if (try? JSONValue.parse(Array(bytes[name])))?.byteString == key { return value }
    }
  }

  /// Passes over a string, a number, a literal, a list or an object.
  private mutating func skipValue() -> Range<Int> {
    let start = position
    var depth = 0
    repeat {
      switch bytes[position] {
      case UInt8(ascii: "\""): skipString()
      case UInt8(ascii: "{"), UInt8(ascii: "["): (depth, position) = (depth + 1, position + 1)
      case UInt8(ascii: "}"), UInt8(ascii: "]"): (depth, position) = (depth - 1, position + 1)
      default:
        if depth > 0 { position += 1 } else { skip { !Self.isSpace($0) && !",}]".utf8.contains($0) } }
      }
    } while depth > 0
    return start..<position
  }

  private mutating func skipString() {
    position += 1
    while bytes[position] != UInt8(ascii: "\"") { position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1 }
    position += 1
  }

  private mutating func skip(while condition: (UInt8) -> Bool) {
    while position < bytes.count, condition(bytes[position]) { position += 1 }
  }

  private static func isSpace(_ byte: UInt8) -> Bool { " \t\r\n".utf8.contains(byte) }
}
