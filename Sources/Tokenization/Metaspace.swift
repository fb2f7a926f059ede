import AlignmentCore

/// SentencePiece's way to write spaces, as a pre-tokenizer and as a decoder.
struct Metaspace {
  /// Which pieces get a mark in front.
  enum Prepending: String {
    /// Every piece, the one at the start of the input, or none.
    case always, first, never
  }

  private let replacement: [UInt8]
  private let prepending: Prepending
  private let splits: Bool

  /// Reads a component.
  init(_ reader: ComponentReader) throws {
    replacement = try reader.optionalText("replacement") ?? Array("▁".utf8)
    guard String(decoding: replacement, as: UTF8.self).unicodeScalars.count == 1 else {
      throw reader.fault("replacement", "must be one character")
    }
    prepending = try Self.prepending(reader)
    splits = try reader.bool("split", default: true)
  }

  private static func prepending(_ reader: ComponentReader) throws -> Prepending {
    let name = try reader.optionalText("prepend_scheme").map { String(decoding: $0, as: UTF8.self) } ?? "always"
    guard let prepending = Prepending(rawValue: name) else {
      throw reader.fault("prepend_scheme", "\"\(name)\" is not one of always, first, never")
    }
    guard try reader.bool("add_prefix_space", default: true) || prepending == .never else {
      throw reader.fault("add_prefix_space", "contradicts \"prepend_scheme\" \"\(name)\"")
    }
    return prepending
  }

  /// Marks the spaces of every piece and, if wanted, splits before the marks.
  func apply(to pieces: inout Pieces) throws {
    pieces.rewrite(marked)
    if splits { try pieces.split(at: .literal(replacement), .mergedWithNext, isInverted: false) }
  }

  private func marked(_ piece: ArraySlice<UInt8>, isAtStart: Bool) -> [UInt8] {
    var result: [UInt8] = []
    let isPrepended = prepending == .always || prepending == .first && isAtStart
    if isPrepended && piece.first != 0x20 && !piece.starts(with: replacement) { result += replacement }
    for byte in piece {
      if byte == 0x20 { result += replacement } else { result.append(byte) }
    }
    return result
  }

  /// Turns marks into spaces again; those of the first token vanish unless none is ever put in front.
  func decoded(_ tokens: [[UInt8]]) throws -> [[UInt8]] {
    try tokens.enumerated().map { index, token in
      let content: [UInt8] = index == 0 && prepending != .never ? [] : [0x20]
      return try TextPattern.literal(replacement).replacing(in: token, with: content)
    }
  }
}
