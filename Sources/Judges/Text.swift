extension StringProtocol {
  /// Without white space at both ends.
  var trimmed: String { trimmed { $0.isWhitespace } }

  /// Without the characters at both ends that `isOuter` holds for.
  func trimmed(_ isOuter: (Character) -> Bool) -> String {
    guard let start = firstIndex(where: { !isOuter($0) }), let end = lastIndex(where: { !isOuter($0) }) else {
      return ""
    }
    return String(self[start...end])
  }

  /// At most `count` characters in one line that no terminal obeys, for messages.
  func excerpt(_ count: Int = 300) -> String {
    let printable = unicodeScalars.map { $0.properties.generalCategory == .control ? " " : String($0) }.joined()
    let line = printable.split(separator: " ").joined(separator: " ")
    return line.count > count ? line.prefix(count) + "…" : line
  }
}
