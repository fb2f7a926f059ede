/// What an answer says of the options.
struct VerdictReading: Sendable, Equatable {
  /// One for each option; they sum to 1.
  var probabilities: [Double]
  var evidence: JudgeAnswer.Evidence
}

/// Reads the verdict of an answer: off the probabilities of its token where there are any, else off the text.
struct VerdictReader: Sendable {
  private let options: OptionWords
  private let names: [String]
  /// The least share of the verdict's token that must fall on the options.
  private let leastMass: Double

  init(options: [String], leastMass: Double) {
    names = options
    self.options = OptionWords(options)
    self.leastMass = leastMass
  }

  /// nil where there is no verdict to be read.
  func read(_ completion: ChatCompletion) -> VerdictReading? {
    let found = completion.isCutInReasons ? nil : VerdictText.find(in: completion.text, options: names)
    if let token = place(of: found, in: completion), let probabilities = probabilities(completion.tokens[token...]) {
      return VerdictReading(probabilities: probabilities, evidence: .logProbabilities)
    }
    return found.map { VerdictReading(probabilities: vote($0.verdict), evidence: .votes) }
  }

  private func vote(_ verdict: VerdictText.Verdict) -> [Double] {
    switch verdict {
    case .option(let chosen): (0..<options.count).map { $0 == chosen ? 1 : 0 }
    case .tie: [Double](repeating: 1 / Double(options.count), count: options.count)
    }
  }

  /// The token in which the verdict begins. A text without a verdict has a place for one only if it is a single token:
  /// the "A" of "A careful comparison …" is no verdict.
  private func place(of found: VerdictText?, in completion: ChatCompletion) -> Int? {
    guard let first = completion.tokens.first else { return nil }
    guard let found else {
      return String(decoding: first.bytes, as: UTF8.self).trimmed == completion.text.trimmed ? 0 : nil
    }
    let whole = completion.tokens.flatMap(\.bytes)
    guard let offset = found.offset, let start = whole.firstRange(of: Array(completion.text.utf8))?.lowerBound else {
      return nil
    }
    var end = 0
    return completion.tokens.firstIndex { token in
      end += token.bytes.count
      return end > start + offset
    }
  }

  /// The share of each option in what might stand at the first of these tokens; nil where they leave too much to others.
  private func probabilities(_ tokens: ArraySlice<TokenAlternatives>) -> [Double]? {
    var masses = [Double](repeating: 0, count: options.count)
    let total = addMasses(tokens, behind: [], 1, to: &masses)
    guard total >= leastMass, total > 0, let listed = tokens.first?.alternatives.map(\.probability) else { return nil }
    // An option that is not listed is at most as likely as the last one that is, and has a part of what they leave.
    let missing = masses.count { $0 == 0 }
    let rest = max(0, 1 - listed.reduce(0, +)) / Double(max(1, missing))
    let most = min(rest, listed.filter { $0 > 0 }.min() ?? 0)
    masses = masses.map { $0 == 0 ? most : $0 }
    let sum = masses.reduce(0, +)
    return masses.map { $0 / sum }
  }

  /// Adds the probability of each option that begins with `start`, whose own probability is `share`.
  ///
  /// An option of several tokens, such as "10" where digits are tokens, is followed along the tokens that were written;
  /// of the others nothing is known.
  ///
  /// - Returns: what was added in all.
  private func addMasses(
    _ tokens: ArraySlice<TokenAlternatives>, behind start: [UInt8], _ share: Double, to masses: inout [Double]
  ) -> Double {
    guard let token = tokens.first else { return 0 }
    var added = 0.0
    for alternative in token.alternatives {
      let bytes = start + alternative.bytes
      let word = String(decoding: bytes, as: UTF8.self)
      var own = share * alternative.probability
      if alternative.bytes == token.bytes, options.hasContinuation(of: word) {
        let longer = addMasses(tokens.dropFirst(), behind: bytes, own, to: &masses)
        added += longer
        own -= longer
      }
      // A continuation that is only white space or marks is the same option again.
      guard alternative.bytes.isEmpty == false, let option = options.index(of: word) else { continue }
      guard start.isEmpty || options.index(of: String(decoding: start, as: UTF8.self)) != option else { continue }
      masses[option] += max(0, own)
      added += max(0, own)
    }
    return added
  }
}

extension ChatCompletion {
  /// Whether the limit of tokens ended a text of several lines, whose last line then is not the last one.
  fileprivate var isCutInReasons: Bool {
    isCut && text.split(whereSeparator: \.isNewline).count { !$0.allSatisfy(\.isWhitespace) } > 1
  }
}
