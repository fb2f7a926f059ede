import AlignmentCore

/// A token that is cut out of the text before the model sees it.
struct AddedToken {
  /// Its id.
  let id: Int32
  /// Its text as the file writes it.
  let content: [UInt8]
  /// Whether it matches only where no word character touches it.
  let isSingleWord: Bool
  /// Whether it swallows the white space before it.
  let stripsLeft: Bool
  /// Whether it swallows the white space after it.
  let stripsRight: Bool
  /// Whether its normalized content is looked for in the normalized text.
  let isNormalized: Bool
  /// Whether decoding can skip it.
  let isSpecial: Bool

  /// Reads an entry of `added_tokens`.
  init(_ reader: ComponentReader) throws {
    guard let id = reader.value("id")?.intValue, id >= 0, id <= Tokenizer.highestID else {
      throw reader.fault("id", "must be an integer from 0 to \(Tokenizer.highestID)")
    }
    self.id = Int32(id)
    content = try reader.text("content")
    isSingleWord = try reader.bool("single_word", default: false)
    stripsLeft = try reader.bool("lstrip", default: false)
    stripsRight = try reader.bool("rstrip", default: false)
    isSpecial = try reader.bool("special", default: false)
    isNormalized = try reader.bool("normalized", default: !isSpecial)
  }
}
