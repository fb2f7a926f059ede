/// A string of UTF-8 bytes, compared and hashed byte by byte.
///
/// Swift's `String` compares by canonical equivalence, so that `"\u{e9}" == "e\u{301}"`; keys of vocabularies, JSON
/// objects and tensors must not collide like that.
package struct ByteString: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible, Comparable {
  /// The bytes, valid UTF-8 wherever the value came out of a parser.
  package let bytes: [UInt8]

  /// Wraps bytes as they are, without validation.
  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Takes the UTF-8 bytes of a string, without normalization.
  package init(_ string: String) { bytes = Array(string.utf8) }

  /// Takes the UTF-8 bytes of a literal.
  package init(stringLiteral value: String) { self.init(value) }

  /// The text, with invalid UTF-8 replaced by U+FFFD.
  package var description: String { String(decoding: bytes, as: UTF8.self) }

  /// Feeds all bytes to the hasher in one piece.
  package func hash(into hasher: inout Hasher) {
    bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    hasher.combine(bytes.count)
  }

  /// Orders by bytes, which for UTF-8 is the order of the code points.
  package static func < (left: ByteString, right: ByteString) -> Bool {
    left.bytes.lexicographicallyPrecedes(right.bytes)
  }
}
