/// Cuts added tokens out of a text, as `added_vocabulary.rs` of the Hugging Face tokenizers does.
struct AddedTokenMatcher {
  /// A part of a text.
  enum Section: Equatable {
    /// The id of a token that was found.
    case token(Int32)
    /// What lies between tokens.
    case text(Range<Int>)
  }

  private var trie = ByteTrie()
  private var tokens: [AddedToken] = []

  /// Adds what to look for and returns true, or returns false if it is empty or there already.
  mutating func insert(_ pattern: [UInt8], _ token: AddedToken) -> Bool {
    tokens.append(token)
    return trie.insert(pattern, tokens.count - 1)
  }

  /// The tokens, leftmost and then longest first, and the non-empty texts between them.
  func sections(of text: [UInt8]) -> [Section] {
    var sections: [Section] = []
    var end = 0
    var position = trie.isEmpty ? text.count : 0
    while position < text.count {
      guard let match = trie.longestMatch(in: text, at: position) else {
        position += 1
        continue
      }
      let token = tokens[match.value]
      if !token.isSingleWord || isWord(position..<match.end, in: text) {
        let start = token.stripsLeft ? max(spaceStart(before: position, in: text), end) : position
        if end < start { sections.append(.text(end..<start)) }
        sections.append(.token(token.id))
        end = token.stripsRight ? spaceEnd(after: match.end, in: text) : match.end
      }
      // White space taken by `stripsRight` may still start the next match.
      position = match.end
    }
    if end < text.count { sections.append(.text(end..<text.count)) }
    return sections
  }

  private func isWord(_ range: Range<Int>, in text: [UInt8]) -> Bool {
    let span = text.span
    if range.lowerBound > 0, span.scalar(at: span.scalarStart(before: range.lowerBound)).isWordCharacter {
      return false
    }
    return range.upperBound == text.count || !span.scalar(at: range.upperBound).isWordCharacter
  }

  private func spaceStart(before position: Int, in text: [UInt8]) -> Int {
    var start = position
    while start > 0 {
      let previous = text.span.scalarStart(before: start)
      guard text.span.scalar(at: previous).properties.isWhitespace else { break }
      start = previous
    }
    return start
  }

  private func spaceEnd(after position: Int, in text: [UInt8]) -> Int {
    var end = position
    while end < text.count, text.span.scalar(at: end).properties.isWhitespace {
      end += text.span.scalarLength(at: end)
    }
    return end
  }
}
