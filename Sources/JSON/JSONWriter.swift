extension JSONValue {
  /// The text of the value: members in order, the shortest digits that read back to the same double.
  ///
  /// Infinities and NaN become `null`. `pretty` indents by two spaces. Non-ASCII text and "/" are not escaped.
  package func serialized(pretty: Bool = false) -> [UInt8] {
    var writer = JSONWriter(isPretty: pretty)
    writer.write(self)
    return writer.output
  }
}

/// Appends values to a text.
struct JSONWriter {
  /// Whether items are on lines of their own.
  let isPretty: Bool
  /// The text so far.
  private(set) var output: [UInt8] = []
  private var depth = 0

  /// Creates a writer without output.
  init(isPretty: Bool) { self.isPretty = isPretty }

  /// Appends one value.
  mutating func write(_ value: JSONValue) {
    switch value {
    case .null: append("null")
    case .bool(let value): append(value ? "true" : "false")
    case .integer(let value): append(String(value))
    case .double(let value): append(value.isFinite ? value.description : "null")
    case .string(let text): writeString(text)
    case .array(let elements): writeItems("[", elements, "]") { $0.write($1) }
    case .object(let object): writeItems("{", object.members, "}") { $0.writeMember($1.key, $1.value) }
    }
  }

  private mutating func writeMember(_ key: ByteString, _ value: JSONValue) {
    writeString(key)
    append(isPretty ? ": " : ":")
    write(value)
  }

  private mutating func writeItems<Item>(
    _ open: String, _ items: [Item], _ close: String, _ writeItem: (inout JSONWriter, Item) -> Void
  ) {
    append(open)
    depth += 1
    for (index, item) in items.enumerated() {
      if index > 0 { append(",") }
      breakLine()
      writeItem(&self, item)
    }
    depth -= 1
    if !items.isEmpty { breakLine() }
    append(close)
  }

  private mutating func breakLine() {
    guard isPretty else { return }
    output.append(0x0A)
    output.append(contentsOf: repeatElement(0x20, count: 2 * depth))
  }

  private mutating func writeString(_ text: ByteString) {
    output.append(UInt8(ascii: "\""))
    for byte in text.bytes {
      if byte >= 0x20 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") {
        output.append(byte)
      } else {
        writeEscape(byte)
      }
    }
    output.append(UInt8(ascii: "\""))
  }

  private mutating func writeEscape(_ byte: UInt8) {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"):
      output.append(UInt8(ascii: "\\"))
      output.append(byte)
    case 0x08: append("\\b")
    case 0x09: append("\\t")
    case 0x0A: append("\\n")
    case 0x0C: append("\\f")
    case 0x0D: append("\\r")
    default: append(byte < 0x10 ? "\\u000" : "\\u00", String(byte, radix: 16))
    }
  }

  private mutating func append(_ parts: String...) {
    for part in parts { output.append(contentsOf: part.utf8) }
  }
}
