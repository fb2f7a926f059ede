import AlignmentCore

/// How the texts of tokens become the text of a sequence.
enum Decoder {
  /// Maps characters back to bytes.
  case byteLevel
  /// Replaces every match in every token by a fixed content.
  case replace(TextPattern, content: [UInt8])
  /// Turns runs of tokens like `<0x0A>` into text.
  case byteFallback
  /// Joins all tokens into one.
  case fuse
  /// Removes up to so many copies of a character from the ends of every token.
  case strip(content: [UInt8], start: Int, stop: Int)
  /// Turns marks into spaces.
  case metaspace(Metaspace)
  /// One after the other.
  case sequence([Decoder])

  /// Reads a component.
  init(_ reader: ComponentReader) throws {
    switch try reader.type {
    case "ByteLevel": self = .byteLevel
    case "Replace": self = .replace(try TextPattern(reader), content: try reader.text("content"))
    case "ByteFallback": self = .byteFallback
    case "Fuse": self = .fuse
    case "Strip":
      self = .strip(
        content: try reader.text("content"), start: try reader.count("start"), stop: try reader.count("stop"))
    case "Metaspace": self = .metaspace(try Metaspace(reader))
    case "Sequence": self = .sequence(try reader.components("decoders").map(Decoder.init))
    case let type:
      let supported = ["ByteFallback", "ByteLevel", "Fuse", "Metaspace", "Replace", "Sequence", "Strip"]
      throw reader.unsupported(type, supported: supported)
    }
  }

  /// The tokens after this step; joined they are the text.
  func decoded(_ tokens: [[UInt8]]) throws -> [[UInt8]] {
    switch self {
    case .byteLevel: [Self.repaired(tokens.flatMap { ByteAlphabet.unmapped($0) ?? $0 })]
    case .replace(let pattern, let content): try tokens.map { try pattern.replacing(in: $0, with: content) }
    case .byteFallback: Self.joiningBytes(tokens)
    case .fuse: [Array(tokens.joined())]
    case .strip(let content, let start, let stop): tokens.map { Self.stripped($0, content, start, stop) }
    case .metaspace(let metaspace): try metaspace.decoded(tokens)
    case .sequence(let steps): try steps.reduce(tokens) { try $1.decoded($0) }
    }
  }

  /// Replaces each maximal part of an invalid sequence by U+FFFD.
  private static func repaired(_ bytes: [UInt8]) -> [UInt8] {
    Array(String(decoding: bytes, as: UTF8.self).utf8)
  }

  private static func joiningBytes(_ tokens: [[UInt8]]) -> [[UInt8]] {
    var result: [[UInt8]] = []
    var run: [UInt8] = []
    for token in tokens {
      if let byte = byteValue(token) {
        run.append(byte)
      } else {
        flush(&run, into: &result)
        result.append(token)
      }
    }
    flush(&run, into: &result)
    return result
  }

  /// Appends a run of bytes as text or, if it is not valid as a whole, one U+FFFD for each byte.
  private static func flush(_ run: inout [UInt8], into result: inout [[UInt8]]) {
    guard !run.isEmpty else { return }
    if String(validating: run, as: UTF8.self) != nil {
      result.append(run)
    } else {
      result.append(contentsOf: repeatElement(Array("\u{FFFD}".utf8), count: run.count))
    }
    run = []
  }

  /// The byte of a token like `<0x0A>`.
  private static func byteValue(_ token: [UInt8]) -> UInt8? {
    guard token.count == 6, token.starts(with: "<0x".utf8), token[5] == UInt8(ascii: ">") else { return nil }
    return UInt8(String(decoding: token[3..<5], as: UTF8.self), radix: 16)
  }

  private static func stripped(_ token: [UInt8], _ content: [UInt8], _ start: Int, _ stop: Int) -> [UInt8] {
    var rest = token[...]
    var remaining = start
    while remaining > 0, !content.isEmpty, rest.starts(with: content) {
      rest = rest.dropFirst(content.count)
      remaining -= 1
    }
    remaining = stop
    while remaining > 0, !content.isEmpty, rest.count >= content.count,
      rest.suffix(content.count).elementsEqual(content)
    {
      rest = rest.dropLast(content.count)
      remaining -= 1
    }
    return Array(rest)
  }
}
