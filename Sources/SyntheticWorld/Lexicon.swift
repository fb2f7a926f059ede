/// The words of the world, in lowercase ASCII. Every list has an even number of words; where the domains choose
/// differently, the source favours its first half and the target its second.
enum Lexicon {
  /// The first word of a prompt, before a colon.
  static let requests = ["ask", "tell", "sing", "draw"]
  /// Content words that qualify.
  static let colours = ["red", "blue", "green", "pink", "white", "dark", "tiny", "cold"]
  /// Content words that are asked for.
  static let nouns = ["kite", "dog", "fish", "lamp", "hat", "mule", "nest", "vase", "jug", "zebra", "rose", "queen"]
  /// Content words that come with a link and "the".
  static let places = ["sea", "hill", "road", "park", "barn", "lake", "town", "moon"]
  /// The kinds of content words, which are what prompts are about.
  static let subjects = [colours, nouns, places]
  /// Every response has one before its content words.
  static let articles = ["the", "a"]
  /// What stands between a noun and a place.
  static let links = ["and", "by", "near", "in"]
  /// Phrases a response may begin with.
  static let openings = [["here", "is"], ["look", "at"], ["i", "like"], ["we", "see"]]
  /// Words that are rewarded, twice at most.
  static let praise = ["fine", "good", "grand", "sweet", "lovely", "bright"]
  /// Words that only add length.
  static let padding = ["so", "now", "too", "very", "just", "quite"]
  /// Words that are rewarded at the end of a response.
  static let courtesies = ["thanks", "please", "cheers", "enjoy"]
  /// Noises a careless speaker makes; they are not words of the vocabulary.
  static let noises = ["er", "hm", "um", "uh"]

  /// What a word of the vocabulary counts as.
  enum Category {
    /// A colour, a noun or a place.
    case content
    /// Praise.
    case praise
    /// A courtesy.
    case courtesy
    /// An article or a link, which may be repeated freely.
    case grammar
    /// A request, a word of an opening or padding: neither good nor bad in itself.
    case other
  }

  /// The category of each word of the vocabulary.
  static let categories: [String: Category] = {
    let lists: [(Category, [String])] = [
      (.content, subjects.flatMap { $0 }), (.praise, praise), (.courtesy, courtesies), (.grammar, articles + links),
      (.other, requests + openings.flatMap { $0 } + padding),
    ]
    return Dictionary(uniqueKeysWithValues: lists.flatMap { category, words in words.map { ($0, category) } })
  }()

  /// The words of any text: its longest runs of bytes other than spaces and newlines.
  static func words(of text: String) -> [String] {
    text.utf8.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }.map { String(Substring($0)) }
  }

  /// The content words of a prompt, in order and without duplicates.
  static func contentWords(of prompt: String) -> [String] {
    words(of: prompt).reduce(into: []) { found, word in
      if categories[word] == .content, !found.contains(word) { found.append(word) }
    }
  }
}
