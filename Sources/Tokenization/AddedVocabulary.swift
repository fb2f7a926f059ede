import AlignmentCore

/// The added tokens of a tokenizer: where they match, and their texts.
struct AddedVocabulary {
  /// The tokens by id.
  private(set) var tokens: [Int32: AddedToken] = [:]
  /// The ids by content.
  private(set) var ids: [[UInt8]: Int32] = [:]
  /// Cuts tokens out of the raw text.
  private(set) var rawMatcher = AddedTokenMatcher()
  /// Cuts tokens out of the normalized text.
  private(set) var normalizedMatcher = AddedTokenMatcher()
  /// The texts that decoding sees, where they differ from the content.
  private var normalizedContents: [Int32: [UInt8]] = [:]
  private var specialContents: Set<[UInt8]> = []

  /// Creates a vocabulary without tokens.
  init() {}

  /// Reads the list `added_tokens`; ids must be those that the reference implementation would assign.
  init(_ readers: [ComponentReader], model: BPEModel, normalizer: Normalizer?) throws {
    var nextID = Int32(model.count)
    for reader in readers {
      let token = try AddedToken(reader)
      guard !token.content.isEmpty else { continue }
      try assign(token, model: model, nextID: &nextID, reader)
      if token.isSpecial { specialContents.insert(token.content) }
      tokens[token.id] = token
      ids[token.content] = token.id
    }
    for (id, token) in tokens.sorted(by: { $0.key < $1.key }) { try match(id, token, normalizer, file: model.file) }
  }

  /// The text of an added token that decoding sees.
  func text(of id: Int32) -> [UInt8]? { normalizedContents[id] ?? tokens[id]?.content }

  /// Whether decoding can skip a token with this text.
  func isSpecial(_ text: [UInt8]) -> Bool { specialContents.contains(text) }

  private func assign(
    _ token: AddedToken, model: BPEModel, nextID: inout Int32, _ reader: ComponentReader
  ) throws {
    let known = ids[token.content] ?? model.id(of: token.content)
    if known == nil { nextID += 1 }
    let expected = known ?? nextID - 1
    guard token.id == expected else {
      let content = String(decoding: token.content, as: UTF8.self)
      throw reader.fault("id", "of \"\(content)\" is \(token.id), but the vocabulary gives it \(expected)")
    }
  }

  /// Adds a token to the matcher that it belongs to.
  private mutating func match(_ id: Int32, _ token: AddedToken, _ normalizer: Normalizer?, file: String) throws {
    guard token.isNormalized else {
      // Contents are distinct and not empty here.
      _ = rawMatcher.insert(token.content, token)
      return
    }
    let pattern = try normalizer?.normalized(token.content) ?? token.content
    if pattern != token.content { normalizedContents[id] = pattern }
    guard normalizedMatcher.insert(pattern, token) else {
      let content = String(decoding: token.content, as: UTF8.self)
      throw Fault(
        .data, "added token \"\(content)\" is empty or equal to another one after normalization", at: file,
        hint: "remove one of them")
    }
  }
}
