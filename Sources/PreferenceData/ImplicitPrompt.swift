/// Where the prompt ends in two texts that both begin with it.
///
/// TRL's `extract_prompt` on Unicode scalars: the longest common prefix; a space just before the divergence goes to the
/// completions. If one text is a prefix of the other, the last scalar of the shorter stays with the completions, as in
/// Python's loop. Where TRL would look at index −1 (divergence at the first scalar), the prompt is empty.
struct ImplicitPrompt {
  /// Length of the prompt in bytes; less than the length of either text.
  let length: Int
  /// Whether the texts never diverge before one of them ends.
  let isPrefixPair: Bool

  /// Compares two texts of valid UTF-8, neither of them empty.
  init(_ first: [UInt8], _ second: [UInt8]) {
    let limit = min(first.count, second.count)
    precondition(limit > 0, "an empty text has no prompt")
    let common = zip(first, second).prefix { $0 == $1 }.count
    isPrefixPair = common == limit
    if isPrefixPair {
      length = Self.scalarStart(in: first, atOrBefore: limit - 1)
    } else {
      // A continuation byte here means the scalars before it differ already.
      let start = Self.scalarStart(in: first, atOrBefore: common)
      length = start > 0 && first[start - 1] == UInt8(ascii: " ") ? start - 1 : start
    }
  }

  private static func scalarStart(in text: [UInt8], atOrBefore index: Int) -> Int {
    var index = index
    while index > 0, text[index] & 0xc0 == 0x80 { index -= 1 }
    return index
  }
}
