import JSON

/// A tokenizer without merges: every byte is a token, and one more token ends a text.
package enum ByteTokenizer {
  /// The id that ends a text.
  package static let endOfSequence: Int32 = 256
  package static let vocabularySize = 257
  package static let endOfSequenceText: ByteString = "<|endoftext|>"

  /// The contents of its `tokenizer.json`.
  package static var json: JSONValue {
    let byteLevel = JSONValue.object(
      JSONObject([
        ("type", .string("ByteLevel")), ("add_prefix_space", .bool(false)), ("trim_offsets", .bool(false)),
        ("use_regex", .bool(false)),
      ]))
    let vocabulary = ByteAlphabet.scalars.enumerated().map { (ByteString(String($1)), JSONValue.integer(Int64($0))) }
    let end = JSONValue.object(
      JSONObject([
        ("id", .integer(Int64(endOfSequence))), ("content", .string(endOfSequenceText)), ("single_word", .bool(false)),
        ("lstrip", .bool(false)), ("rstrip", .bool(false)), ("normalized", .bool(false)), ("special", .bool(true)),
      ]))
    let model = JSONObject([
      ("type", .string("BPE")), ("dropout", .null), ("unk_token", .null), ("continuing_subword_prefix", .null),
      ("end_of_word_suffix", .null), ("fuse_unk", .bool(false)), ("byte_fallback", .bool(false)),
      ("vocab", .object(JSONObject(vocabulary + [(endOfSequenceText, .integer(Int64(endOfSequence)))]))),
      ("merges", .array([])),
    ])
    return .object(
      JSONObject([
        ("version", .string("1.0")), ("truncation", .null), ("padding", .null), ("added_tokens", .array([end])),
        ("normalizer", .null), ("pre_tokenizer", byteLevel), ("post_processor", .null), ("decoder", byteLevel),
        ("model", .object(model)),
      ]))
  }
}
