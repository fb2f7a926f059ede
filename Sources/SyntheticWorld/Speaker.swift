import AlignmentCore

/// Composes one text word by word, taking one random number after the other from a stream of its own.
struct Speaker {
  /// Largest number of bytes of a response; words that no longer fit are left out.
  static let responseLimit = 64

  private let style: Style
  private let stream: RandomStream
  private var position = 0
  private var words: [String] = []
  private var byteCount = 0

  /// Prepares to speak in a style; a speaker composes one text only.
  init(style: Style, stream: RandomStream) {
    self.style = style
    self.stream = stream
  }

  /// A prompt, such as "ask: a red kite and the sea\n"; one in four names no colour.
  mutating func prompt() -> String {
    say(pick(Lexicon.requests, lean: 0.5) + ":")
    say(pick(Lexicon.articles, lean: 0.5))
    if chance(0.75) { say(pick(Lexicon.colours, lean: style.subjectLean)) }
    say(pick(Lexicon.nouns, lean: style.subjectLean))
    say(pick(Lexicon.links, lean: 0.5))
    say("the")
    say(pick(Lexicon.places, lean: style.subjectLean))
    return words.joined(separator: " ") + "\n"
  }

  /// A response about content words: [noise] [opening] article [praise] [content …] [praise] [padding …] [noise]
  /// [courtesy].
  mutating func response(about contentWords: [String]) -> String {
    if chance(style.noise) { say(pick(Lexicon.noises, lean: style.lean)) }
    if chance(style.opening) { for word in pick(Lexicon.openings, lean: style.lean) { say(word) } }
    say(pick(Lexicon.articles, lean: style.lean))
    if chance(style.praise) { sayTwicePerhaps(pick(Lexicon.praise, lean: style.lean)) }
    for word in contentWords { address(word) }
    if chance(style.praise) { sayTwicePerhaps(pick(Lexicon.praise, lean: style.lean)) }
    for _ in 0..<5 where chance(style.padding) { sayTwicePerhaps(pick(Lexicon.padding, lean: style.lean)) }
    if chance(style.noise) { say(pick(Lexicon.noises, lean: style.lean)) }
    if chance(style.courtesy) { say(pick(Lexicon.courtesies, lean: style.lean)) }
    return words.joined(separator: " ")
  }

  // Says a content word of the prompt, or another of its kind by mistake, or nothing.
  private mutating func address(_ word: String) {
    guard let kind = Lexicon.subjects.first(where: { $0.contains(word) }) else { return }
    let isMentioned = chance(style.mention)
    guard isMentioned || chance(style.mistake) else { return }
    if kind == Lexicon.places {
      say(pick(Lexicon.links, lean: style.lean))
      say("the")
    }
    sayTwicePerhaps(isMentioned ? word : pick(kind, lean: style.subjectLean))
  }

  private mutating func sayTwicePerhaps(_ word: String) {
    say(word)
    if chance(style.doubling) { say(word) }
  }

  private mutating func say(_ word: String) {
    let newCount = byteCount + (words.isEmpty ? 0 : 1) + word.utf8.count
    guard newCount <= Self.responseLimit else { return }
    byteCount = newCount
    words.append(word)
  }

  private mutating func chance(_ probability: Double) -> Bool {
    position += 1
    return stream.uniform(at: position) < probability
  }

  private mutating func pick<Entry>(_ list: [Entry], lean: Double) -> Entry {
    let half = list.count / 2
    let start = chance(lean) ? 0 : half
    position += 1
    return list[start + stream.integer(below: half, at: position)]
  }
}
