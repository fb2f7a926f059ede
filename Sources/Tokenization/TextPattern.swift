import AlignmentCore

/// What to look for in a text: fixed bytes or a regular expression.
enum TextPattern {
  /// Bytes, not empty.
  case literal([UInt8])
  /// A regular expression.
  case expression(OnigurumaRegex)

  /// Reads `{"String": …}` or `{"Regex": …}` of a component.
  init(_ reader: ComponentReader) throws {
    guard let pattern = try reader.component("pattern") else { throw reader.fault("pattern", "is missing") }
    if let literal = try pattern.optionalText("String") {
      guard !literal.isEmpty else { throw pattern.fault("String", "must not be empty") }
      self = .literal(literal)
    } else {
      self = .expression(try OnigurumaRegex(try pattern.text("Regex")))
    }
  }

  /// Calls `body` with each match inside a part of a text, from left to right, without overlaps.
  func forEachMatch(in text: [UInt8], _ part: Range<Int>, _ body: (Range<Int>) -> Void) throws {
    switch self {
    case .literal(let literal): Self.forEachOccurrence(of: literal, in: text, part, body)
    case .expression(let expression): try expression.forEachMatch(in: text, part, body)
    }
  }

  /// The text with every match replaced by a content.
  func replacing(in text: [UInt8], with content: [UInt8]) throws -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var end = 0
    try forEachMatch(in: text, 0..<text.count) { match in
      result.append(contentsOf: text[end..<match.lowerBound])
      result.append(contentsOf: content)
      end = match.upperBound
    }
    result.append(contentsOf: text[end...])
    return result
  }

  private static func forEachOccurrence(
    of literal: [UInt8], in text: [UInt8], _ part: Range<Int>, _ body: (Range<Int>) -> Void
  ) {
    var position = part.lowerBound
    while position + literal.count <= part.upperBound {
      if text[position] == literal[0], text[position..<position + literal.count].elementsEqual(literal) {
        body(position..<position + literal.count)
        position += literal.count
      } else {
        position += 1
      }
    }
  }
}
