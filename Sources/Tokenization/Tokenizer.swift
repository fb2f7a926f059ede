import AlignmentCore
import Foundation
import JSON

/// A tokenizer read from a tokenizer.json, which it obeys literally.
///
/// Agrees with `tokenizers.Tokenizer.from_file` of the Hugging Face library 0.23. Not for use from several threads at
/// once: it remembers the words it has seen. `truncation` and `padding` of the file are ignored.
package final class Tokenizer {
  /// Largest id that a file may use, which bounds the memory that a hostile one can ask for.
  static let highestID = 1 << 24

  /// One more than the highest id, including added tokens.
  package let vocabularySize: Int

  private let model: BPEModel
  private let added: AddedVocabulary
  private let normalizer: Normalizer?
  private let preTokenizer: PreTokenizer?
  private let postProcessor: PostProcessor
  private let decoder: Decoder?

  /// Reads `tokenizer.json` of a model directory; throws a fault that names the file and what is wrong with it.
  package static func load(directory: String) throws -> Tokenizer {
    let path = directory.hasSuffix("/") ? directory + "tokenizer.json" : directory + "/tokenizer.json"
    guard let data = FileManager.default.contents(atPath: path) else {
      throw Fault(.missingInput, "cannot be read", at: path, hint: "a model directory needs a tokenizer.json")
    }
    return try Tokenizer(json: Array(data), path: path)
  }

  /// Reads the contents of a tokenizer.json; `path` is for messages only.
  package init(json bytes: [UInt8], path: String) throws {
    let root = try Self.root(bytes, path)
    normalizer = try Self.component("normalizer", of: root).map(Normalizer.init)
    preTokenizer = try Self.component("pre_tokenizer", of: root).map(PreTokenizer.init)
    postProcessor = try Self.component("post_processor", of: root).map(PostProcessor.init) ?? .none
    decoder = try Self.component("decoder", of: root).map(Decoder.init)
    guard let modelReader = try Self.component("model", of: root) else { throw root.fault("model", "is missing") }
    model = try BPEModel(modelReader, mapsBytes: preTokenizer?.mapsBytes ?? false)
    added = try AddedVocabulary(Self.addedTokens(root), model: model, normalizer: normalizer)
    vocabularySize = max(model.texts.lastIndex { $0 != nil } ?? -1, added.tokens.keys.max().map(Int.init) ?? -1) + 1
  }

  /// The ids of a text, which must be valid UTF-8; special tokens in the text are recognized.
  ///
  /// `addSpecialTokens` adds those of the template, such as a token for the beginning of the sequence.
  package func encode(_ text: [UInt8], addSpecialTokens: Bool) throws -> [Int32] {
    try Self.checkUTF8(text)
    var ids: [Int32] = []
    for section in added.rawMatcher.sections(of: text) {
      switch section {
      case .token(let id): ids.append(id)
      case .text(let range): try encodeRaw(Array(text[range]), isAtStart: range.lowerBound == 0, into: &ids)
      }
    }
    return postProcessor.processed(ids, addSpecialTokens: addSpecialTokens)
  }

  /// The text of ids; unknown ids are dropped and invalid UTF-8 becomes U+FFFD.
  package func decode(_ ids: [Int32], skipSpecialTokens: Bool) throws -> [UInt8] {
    let texts = ids.compactMap(text(of:)).filter { !skipSpecialTokens || !added.isSpecial($0) }
    guard let decoder else { return Array(texts.joined(separator: [0x20])) }
    return Array(try decoder.decoded(texts).joined())
  }

  /// The id of a token as the file writes it.
  package func id(of token: ByteString) -> Int32? { added.ids[token.bytes] ?? model.id(of: token.bytes) }

  /// Whether every id means the same token in another tokenizer.
  package func hasSameTokens(as other: Tokenizer) -> Bool {
    vocabularySize == other.vocabularySize
      && (0..<Int32(vocabularySize)).allSatisfy { text(of: $0) == other.text(of: $0) }
  }

  /// A token as the file writes it.
  package func token(of id: Int32) -> String? { text(of: id).map { String(decoding: $0, as: UTF8.self) } }

  /// The special tokens, by id.
  package var specialTokens: [(id: Int32, text: String)] {
    added.tokens.values.filter(\.isSpecial).map { ($0.id, String(decoding: $0.content, as: UTF8.self)) }
      .sorted { $0.id < $1.id }
  }

  /// The text of a token before decoding.
  private func text(of id: Int32) -> [UInt8]? {
    if let text = added.text(of: id) { return text }
    return model.texts.indices.contains(Int(id)) ? model.texts[Int(id)] : nil
  }

  /// Normalizes a text between raw added tokens and appends its ids.
  private func encodeRaw(_ text: [UInt8], isAtStart: Bool, into ids: inout [Int32]) throws {
    let normalized = try normalizer?.normalized(text) ?? text
    for section in added.normalizedMatcher.sections(of: normalized) {
      switch section {
      case .token(let id): ids.append(id)
      case .text(let range):
        let part = range.count == normalized.count ? normalized : Array(normalized[range])
        var pieces = Pieces(part, isAtStart: isAtStart && range.lowerBound == 0)
        try preTokenizer?.apply(to: &pieces)
        for piece in pieces.ranges { try model.encode(piece, of: pieces.text, into: &ids) }
      }
    }
  }

  private static func checkUTF8(_ text: [UInt8]) throws {
    do {
      _ = try UTF8Span(validating: text.span)
    } catch {
      throw Fault(.data, "text is not valid UTF-8 (\(error))", hint: "convert the data to UTF-8")
    }
  }

  private static func root(_ bytes: [UInt8], _ path: String) throws -> ComponentReader {
    let value: JSONValue
    do {
      value = try JSONValue.parse(bytes)
    } catch {
      throw Fault(.data, "not valid JSON: \(error)", at: path, hint: "copy the file from the model again")
    }
    let root = try ComponentReader(value, name: "tokenizer", file: path)
    if let version = root.value("version"), version != .string("1.0") {
      throw root.fault("version", "must be \"1.0\"")
    }
    return root
  }

  private static func component(_ key: String, of root: ComponentReader) throws -> ComponentReader? {
    try root.value(key).map { try ComponentReader($0, name: key, file: root.file) }
  }

  private static func addedTokens(_ root: ComponentReader) throws -> [ComponentReader] {
    guard root.value("added_tokens") != nil else { return [] }
    return try root.components("added_tokens")
  }
}
