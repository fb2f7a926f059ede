import AlignmentCore

/// A byte pair encoding (Sennrich et al. 2016, arXiv:1508.07909, section 3.2) as tokenizer.json describes it.
final class BPEModel {
  /// The ids of the first symbols of one character.
  enum Initial {
    /// The character is a token.
    case symbol(Int32)
    /// The character is written as bytes.
    case bytes([Int32])
    /// The character cannot be written.
    case unknown
  }

  /// Path of the file.
  let file: String
  /// Whether pieces are raw bytes that the vocabulary writes in the alphabet of GPT-2.
  let mapsBytes: Bool
  /// The merges by pairs of ids.
  let merges: MergeTable
  /// The tokens by id; nil where no token has the id.
  let texts: [[UInt8]?]
  /// Number of tokens.
  var count: Int { vocabulary.count }

  private let vocabulary: ByteTable
  private let unknownToken: [UInt8]?
  private let fusesUnknown: Bool
  /// The whole pieces that are tokens regardless of merges; nil if merges always count.
  private let wholePieces: ByteTable?
  /// Ids of `<0x00>` … `<0xFF>`, −1 where missing; empty without byte fallback.
  private let fallbackIDs: [Int32]
  /// The first symbols of each byte if pieces are bytes, else of each ASCII character.
  private let initials: [Initial]
  private var cache = WordCache()

  /// Reads the component `model`.
  init(_ reader: ComponentReader, mapsBytes: Bool) throws {
    try Self.checkType(reader)
    let (vocabulary, texts) = try Self.vocabulary(reader)
    let byteTokens = try reader.bool("byte_fallback", default: false) ? Self.byteTokens : []
    let fallbackIDs = byteTokens.map { vocabulary.find($0) ?? -1 }
    file = reader.file
    self.mapsBytes = mapsBytes
    self.vocabulary = vocabulary
    self.texts = texts
    self.fallbackIDs = fallbackIDs
    merges = try Self.merges(reader, vocabulary)
    unknownToken = try reader.optionalText("unk_token")
    fusesUnknown = try reader.bool("fuse_unk", default: false)
    let ignoresMerges = try reader.bool("ignore_merges", default: false)
    wholePieces = !ignoresMerges ? nil : mapsBytes ? Self.unmapped(texts) : vocabulary
    initials = (mapsBytes ? ByteAlphabet.scalars : (0..<128).map { Unicode.Scalar($0) }).map { scalar in
      Self.initial(Array(String(scalar).utf8), vocabulary, fallbackIDs)
    }
  }

  /// The id of a token as the vocabulary writes it.
  func id(of token: [UInt8]) -> Int32? { vocabulary.find(token) }

  /// Appends the ids of a piece.
  func encode(_ piece: Range<Int>, of text: [UInt8], into ids: inout [Int32]) throws {
    let word = text.span.extracting(piece)
    if cache.append(word, to: &ids) { return }
    if let id = wholePieces?.find(word) {
      ids.append(id)
      return
    }
    var symbols = try initialSymbols(word)
    merge(&symbols)
    cache.insert(word, symbols)
    ids.append(contentsOf: symbols)
  }

  /// The symbols of a word before any merge.
  private func initialSymbols(_ word: Span<UInt8>) throws -> [Int32] {
    var symbols: [Int32] = []
    symbols.reserveCapacity(word.count)
    var unknownCount = 0
    var position = 0
    while position < word.count {
      switch initial(in: word, at: &position) {
      case .symbol(let id):
        try flush(&unknownCount, into: &symbols)
        symbols.append(id)
      // As in the reference implementation, a pending unknown comes after bytes that follow it.
      case .bytes(let ids): symbols.append(contentsOf: ids)
      case .unknown:
        if !fusesUnknown { try flush(&unknownCount, into: &symbols) }
        unknownCount += 1
      }
    }
    try flush(&unknownCount, into: &symbols)
    return symbols
  }

  /// The first symbols of the character at a position, which moves to the next one.
  private func initial(in word: Span<UInt8>, at position: inout Int) -> Initial {
    let byte = word[position]
    if mapsBytes || byte < 0x80 {
      position += 1
      return initials[Int(byte)]
    }
    let end = position + word.scalarLength(at: position)
    defer { position = end }
    if let id = vocabulary.find(word.extracting(position..<end)) { return .symbol(id) }
    return Self.initial((position..<end).map { word[$0] }, vocabulary, fallbackIDs)
  }

  /// Writes one unknown token for a run of unknown characters; without such a token they vanish.
  private func flush(_ unknownCount: inout Int, into symbols: inout [Int32]) throws {
    guard unknownCount > 0, let unknownToken else { return }
    guard let id = vocabulary.find(unknownToken) else {
      let name = String(decoding: unknownToken, as: UTF8.self)
      throw Fault(.data, "the unknown token \"\(name)\" is not in the vocabulary", at: file, hint: "correct unk_token")
    }
    symbols.append(id)
    unknownCount = 0
  }

  private static func initial(_ character: [UInt8], _ vocabulary: ByteTable, _ fallbackIDs: [Int32]) -> Initial {
    if let id = vocabulary.find(character) { return .symbol(id) }
    guard !fallbackIDs.isEmpty else { return .unknown }
    let ids = character.map { fallbackIDs[Int($0)] }
    return ids.contains(-1) ? .unknown : .bytes(ids)
  }
}
