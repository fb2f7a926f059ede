/// Turns text into token ids; the tokenizer is one.
package protocol TextEncoder {
  /// The ids of UTF-8 text, with the tokenizer's own special tokens (BOS …) around it if asked.
  func encode(_ text: [UInt8], addSpecialTokens: Bool) throws -> [Int32]
}
