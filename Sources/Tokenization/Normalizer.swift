import AlignmentCore

/// What is done to a text before it is cut into pieces.
enum Normalizer {
  /// Canonical composition.
  case nfc
  /// Puts a text in front of anything that is not empty.
  case prepend([UInt8])
  /// Replaces every match by a fixed content.
  case replace(TextPattern, content: [UInt8])
  /// One after the other.
  case sequence([Normalizer])

  /// Reads a component.
  init(_ reader: ComponentReader) throws {
    switch try reader.type {
    case "NFC": self = .nfc
    case "Prepend": self = .prepend(try reader.text("prepend"))
    case "Replace": self = .replace(try TextPattern(reader), content: try reader.text("content"))
    case "Sequence": self = .sequence(try reader.components("normalizers").map(Normalizer.init))
    case let type: throw reader.unsupported(type, supported: ["NFC", "Prepend", "Replace", "Sequence"])
    }
  }

  /// The normalized text.
  func normalized(_ text: [UInt8]) throws -> [UInt8] {
    switch self {
    case .nfc: CanonicalComposition.composed(text)
    case .prepend(let prefix): text.isEmpty ? text : prefix + text
    case .replace(let pattern, let content): try pattern.replacing(in: text, with: content)
    case .sequence(let steps): try steps.reduce(text) { try $1.normalized($0) }
    }
  }
}
