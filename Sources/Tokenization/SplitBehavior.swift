/// What becomes of the matches when a piece is split.
enum SplitBehavior: String, CaseIterable {
  /// Matches are dropped.
  case removed = "Removed"
  /// Every match is a piece.
  case isolated = "Isolated"
  /// A match belongs to the piece before it, unless that is a match too.
  case mergedWithPrevious = "MergedWithPrevious"
  /// A match belongs to the piece after it, unless that is a match too.
  case mergedWithNext = "MergedWithNext"
  /// Adjacent matches are one piece.
  case contiguous = "Contiguous"

  /// The pieces of alternating segments that cover a text; empty pieces are dropped.
  func pieces(of segments: [Segment]) -> [Range<Int>] {
    let ranges: [Range<Int>] =
      switch self {
      case .isolated: segments.map(\.range)
      case .removed: segments.filter { !$0.isMatch }.map(\.range)
      case .contiguous: Self.joined(segments) { $0.isMatch == $1.isMatch }
      case .mergedWithPrevious: Self.joined(segments) { !$0.isMatch && $1.isMatch }
      case .mergedWithNext: Self.joined(segments) { $0.isMatch && !$1.isMatch }
      }
    return ranges.filter { !$0.isEmpty }
  }

  /// Joins neighbours for which the condition holds.
  private static func joined(_ segments: [Segment], where condition: (Segment, Segment) -> Bool) -> [Range<Int>] {
    var pieces: [Range<Int>] = []
    for (index, segment) in segments.enumerated() {
      if index > 0, let last = pieces.last, condition(segments[index - 1], segment) {
        pieces[pieces.count - 1] = last.lowerBound..<segment.range.upperBound
      } else {
        pieces.append(segment.range)
      }
    }
    return pieces
  }
}

/// A part of a text that is a match or lies between matches.
struct Segment {
  /// Where it is.
  var range: Range<Int>
  /// Whether it is a match.
  var isMatch: Bool
}
