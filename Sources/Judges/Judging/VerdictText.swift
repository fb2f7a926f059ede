import JSON

/// A verdict that was found in a text.
struct VerdictText: Sendable, Equatable {
  enum Verdict: Sendable, Equatable {
    /// A place among the options.
    case option(Int)
    case tie
  }

  var verdict: Verdict
  /// Where the option begins, in bytes of UTF-8; nil where it is not a place of its own.
  var offset: Int?

  /// Reads what a judge wrote: a verdict in fenced JSON, alone on the last line, or as a ranking, in this order.
  ///
  /// A text that says none of this has no verdict; none is ever guessed.
  static func find(in text: String, options: [String]) -> VerdictText? {
    let options = OptionWords(options)
    let parsers = [json, lastLine, ranking]
    return parsers.lazy.compactMap { $0(text, options) }.first
  }

  /// JSON between fences, or as the whole text. Several blocks must agree: a judge may quote what it judges.
  private static func json(_ text: String, _ options: OptionWords) -> VerdictText? {
    let names: [ByteString] = ["verdict", "winner", "answer", "choice", "preference", "score", "rating"]
    let verdicts = blocks(of: text).flatMap { block in
      let object = try? JSONValue.parse(Array(block.utf8)).objectValue
      return names.compactMap { object?[$0] }.map { options.verdict(of: $0) }
    }
    guard let first = verdicts.first, let verdict = first, verdicts.allSatisfy({ $0 == first }) else { return nil }
    return VerdictText(verdict: verdict)
  }

  private static func blocks(of text: String) -> [String] {
    let pieces = text.components(between: "```")
    guard pieces.count > 1 else { return [text] }
    // Odd pieces are inside fences; the word behind the opening fence names the language.
    return stride(from: 1, to: pieces.count, by: 2).map { String(pieces[$0].drop(while: \.isLetter)) }
  }

  /// The last line that is not blank: an option alone, or behind words such as "Verdict:".
  private static func lastLine(_ text: String, _ options: OptionWords) -> VerdictText? {
    guard let line = text.split(whereSeparator: \.isNewline).last(where: { !$0.allSatisfy(\.isWhitespace) }) else {
      return nil
    }
    let candidate = afterHeading(line)
    guard let verdict = options.verdict(of: candidate) else { return nil }
    let bare = OptionWords.bare(candidate)
    return VerdictText(verdict: verdict, offset: text.utf8.distance(from: text.startIndex, to: bare.startIndex))
  }

  private static func afterHeading(_ line: Substring) -> Substring {
    let headings: Set = ["verdict", "answer", "winner", "choice", "preference", "score", "rating"]
    let adjectives: Set = ["final", "total", "overall", "my", "the"]
    guard let colon = line.lastIndex(of: ":") else { return line }
    var words = line[..<colon].split(separator: " ").map { OptionWords.bare($0).lowercased() }.filter { !$0.isEmpty }
    guard let heading = words.popLast(), headings.contains(heading), words.allSatisfy(adjectives.contains) else {
      return line
    }
    return line[line.index(after: colon)...]
  }

  /// A list of options from best to worst, or of objects with `model` and `rank`, in JSON or as Python writes it.
  private static func ranking(_ text: String, _ options: OptionWords) -> VerdictText? {
    guard let open = text.firstIndex(of: "["), let close = text.lastIndex(of: "]"), open < close,
      let list = try? JSONValue.parse(Array(text[open...close].replacing("'", with: "\"").utf8)).arrayValue,
      list.count == options.count
    else { return nil }
    let entries = list.enumerated().compactMap { place, entry -> (option: Int, rank: Int)? in
      guard case .option(let option) = options.verdict(of: entry["model"] ?? entry) else { return nil }
      guard let rank = entry.objectValue == nil ? place : entry["rank"]?.intValue else { return nil }
      return (option, rank)
    }
    guard Set(entries.map(\.option)).count == options.count, let best = entries.map(\.rank).min() else { return nil }
    let winners = entries.filter { $0.rank == best }
    return VerdictText(verdict: winners.count == 1 ? .option(winners[0].option) : .tie)
  }
}

/// The words that name options, compared without case and the marks around them.
struct OptionWords: Sendable {
  private let words: [String]

  init(_ options: [String]) { words = options.map { $0.lowercased() } }

  var count: Int { words.count }

  /// The place of the option that a word is.
  func index(of word: some StringProtocol) -> Int? { words.firstIndex(of: Self.bare(word).lowercased()) }

  /// Whether a longer option begins with a word.
  func hasContinuation(of word: some StringProtocol) -> Bool {
    let start = Self.bare(word).lowercased()
    return words.contains { $0.hasPrefix(start) && $0 != start }
  }

  /// The verdict that a text is and nothing beside it; "tie", and "C" beside A and B, is neither of two.
  func verdict(of text: some StringProtocol) -> VerdictText.Verdict? {
    var word = Self.bare(text).lowercased()
    for name in ["response ", "option "] where word.hasPrefix(name) { word.removeFirst(name.count) }
    if let option = words.firstIndex(of: word) { return .option(option) }
    if let option = score(outOfHighest: word) { return .option(option) }
    return count == 2 && (word == "tie" || word == "c" && words == ["a", "b"]) ? .tie : nil
  }

  /// The option that is meant by a text such as "7/10" where 10 is the last one.
  private func score(outOfHighest text: String) -> Int? {
    let parts = text.split(separator: "/").map(\.trimmed)
    guard parts.count == 2, Int(parts[1]) != nil, parts[1] == words.last else { return nil }
    return words.firstIndex(of: parts[0])
  }

  /// The verdict that a JSON value is.
  func verdict(of value: JSONValue) -> VerdictText.Verdict? {
    value.stringValue.flatMap { verdict(of: $0) } ?? value.intValue.flatMap { verdict(of: String($0)) }
  }

  /// A word without white space and the marks that set it off.
  static func bare<Text: StringProtocol>(_ text: Text) -> Text.SubSequence {
    let isMark = { (character: Character) in character.isWhitespace || "*_`\"'()[]{}.:,#".contains(character) }
    guard let start = text.firstIndex(where: { !isMark($0) }), let end = text.lastIndex(where: { !isMark($0) }) else {
      return text[text.endIndex...]
    }
    return text[start...end]
  }
}

extension String {
  /// The pieces between occurrences of a mark.
  fileprivate func components(between mark: String) -> [Substring] {
    var pieces: [Substring] = []
    var rest = self[...]
    while let range = rest.firstRange(of: mark) {
      pieces.append(rest[..<range.lowerBound])
      rest = rest[range.upperBound...]
    }
    return pieces + [rest]
  }
}
