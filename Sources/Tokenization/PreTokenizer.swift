import AlignmentCore

/// How a normalized text is cut into the pieces that the model sees.
enum PreTokenizer {
  /// Optionally puts a space in front and splits by GPT-2's expression; the model then works on bytes.
  case byteLevel(addsPrefixSpace: Bool, pattern: TextPattern?)
  /// Splits at a pattern.
  case split(TextPattern, SplitBehavior, isInverted: Bool)
  /// Splits at digits, each one alone or as runs.
  case digits(isIndividual: Bool)
  /// Replaces spaces by a visible mark.
  case metaspace(Metaspace)
  /// One after the other.
  case sequence([PreTokenizer])

  /// GPT-2's expression as `byte_level.rs` has it.
  private static let gpt2Pattern =
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

  /// Reads a component.
  init(_ reader: ComponentReader) throws {
    switch try reader.type {
    case "ByteLevel": self = try Self.byteLevel(reader)
    case "Split": self = try Self.split(reader)
    case "Digits": self = .digits(isIndividual: try reader.bool("individual_digits", default: false))
    case "Metaspace": self = .metaspace(try Metaspace(reader))
    case "Sequence": self = try Self.sequence(reader)
    case let type:
      throw reader.unsupported(type, supported: ["ByteLevel", "Digits", "Metaspace", "Sequence", "Split"])
    }
  }

  /// Whether the pieces stand for raw bytes, written in the alphabet of GPT-2 by the vocabulary.
  var mapsBytes: Bool {
    switch self {
    case .byteLevel: true
    case .sequence(let steps): steps.last?.mapsBytes ?? false
    default: false
    }
  }

  /// Cuts the pieces further.
  func apply(to pieces: inout Pieces) throws {
    switch self {
    case .byteLevel(let addsPrefixSpace, let pattern):
      if addsPrefixSpace { pieces.rewrite { piece, _ in piece.first == 0x20 ? Array(piece) : [0x20] + piece } }
      if let pattern { try pieces.split(at: pattern, .isolated, isInverted: false) }
    case .split(let pattern, let behavior, let isInverted):
      try pieces.split(at: pattern, behavior, isInverted: isInverted)
    case .digits(let isIndividual):
      pieces.split(at: \.isNumber, isIndividual ? .isolated : .contiguous)
    case .metaspace(let metaspace): try metaspace.apply(to: &pieces)
    case .sequence(let steps): for step in steps { try step.apply(to: &pieces) }
    }
  }

  private static func byteLevel(_ reader: ComponentReader) throws -> PreTokenizer {
    let usesPattern = try reader.bool("use_regex", default: true)
    return .byteLevel(
      addsPrefixSpace: try reader.bool("add_prefix_space", default: true),
      pattern: usesPattern ? .expression(try OnigurumaRegex(Array(gpt2Pattern.utf8))) : nil)
  }

  private static func split(_ reader: ComponentReader) throws -> PreTokenizer {
    let name = String(decoding: try reader.text("behavior"), as: UTF8.self)
    guard let behavior = SplitBehavior(rawValue: name) else {
      let known = SplitBehavior.allCases.map(\.rawValue).joined(separator: ", ")
      throw reader.fault("behavior", "\"\(name)\" is not one of \(known)")
    }
    return .split(try TextPattern(reader), behavior, isInverted: try reader.bool("invert", default: false))
  }

  private static func sequence(_ reader: ComponentReader) throws -> PreTokenizer {
    let steps = try reader.components("pretokenizers").map(PreTokenizer.init)
    guard !steps.dropLast().contains(where: \.mapsBytes) else {
      throw reader.fault("pretokenizers", "has ByteLevel before the end, which is not supported")
    }
    return .sequence(steps)
  }
}
