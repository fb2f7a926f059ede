/// A text and its parts between added tokens and the model.
struct Pieces {
  /// The text that the ranges refer to.
  private(set) var text: [UInt8]
  /// The pieces in order, never empty.
  private(set) var ranges: [Range<Int>]
  /// Whether the first byte of the text comes from the very start of the input.
  let isAtStart: Bool
  private var segments: [Segment] = []

  /// One piece that is the whole text.
  init(_ text: [UInt8], isAtStart: Bool) {
    self.text = text
    ranges = text.isEmpty ? [] : [0..<text.count]
    self.isAtStart = isAtStart
  }

  /// Splits every piece at the matches of a pattern.
  mutating func split(at pattern: TextPattern, _ behavior: SplitBehavior, isInverted: Bool) throws {
    try split(behavior) { text, piece, segments in
      var end = piece.lowerBound
      try pattern.forEachMatch(in: text, piece) { match in
        if end < match.lowerBound {
          segments.append(Segment(range: end..<match.lowerBound, isMatch: isInverted))
        }
        segments.append(Segment(range: match, isMatch: !isInverted))
        end = match.upperBound
      }
      if end < piece.upperBound { segments.append(Segment(range: end..<piece.upperBound, isMatch: isInverted)) }
    }
  }

  /// Splits every piece at the scalars for which a condition holds.
  mutating func split(at condition: (Unicode.Scalar) -> Bool, _ behavior: SplitBehavior) {
    split(behavior) { text, piece, segments in
      var position = piece.lowerBound
      var end = piece.lowerBound
      while position < piece.upperBound {
        let next = position + text.span.scalarLength(at: position)
        if condition(text.span.scalar(at: position)) {
          if end < position { segments.append(Segment(range: end..<position, isMatch: false)) }
          segments.append(Segment(range: position..<next, isMatch: true))
          end = next
        }
        position = next
      }
      if end < piece.upperBound { segments.append(Segment(range: end..<piece.upperBound, isMatch: false)) }
    }
  }

  /// Replaces the bytes of every piece; `body` is told whether the piece comes from the start of the input.
  mutating func rewrite(_ body: (ArraySlice<UInt8>, Bool) -> [UInt8]) {
    var newText: [UInt8] = []
    newText.reserveCapacity(text.count + 3 * ranges.count)
    var newRanges: [Range<Int>] = []
    for range in ranges {
      let start = newText.count
      newText.append(contentsOf: body(text[range], isAtStart && range.lowerBound == 0))
      newRanges.append(start..<newText.count)
    }
    text = newText
    ranges = newRanges
  }

  /// Cuts every piece into segments that cover it and joins them by a behaviour.
  private mutating func split<Failure: Error>(
    _ behavior: SplitBehavior, _ cut: ([UInt8], Range<Int>, inout [Segment]) throws(Failure) -> Void
  ) throws(Failure) {
    var pieces: [Range<Int>] = []
    pieces.reserveCapacity(ranges.count)
    for range in ranges {
      segments.removeAll(keepingCapacity: true)
      try cut(text, range, &segments)
      pieces.append(contentsOf: behavior.pieces(of: segments))
    }
    ranges = pieces
  }
}
