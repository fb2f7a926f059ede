/// What the gold reward looks at in a response, and the only thing it looks at.
package struct RewardFeatures: Sendable, Equatable {
  /// Distinct content words of the prompt that the response mentions.
  package var mentions = 0
  /// Whether the last word is a courtesy.
  package var isCourteous = false
  /// Distinct words of praise.
  package var praise = 0
  /// Vocabulary words that occurred before in the response, articles and links apart.
  package var repetitions = 0
  /// Words outside the vocabulary.
  package var unknownWords = 0
  /// Number of words.
  package var length = 0

  /// Reads the features of any response to any prompt; linear in the length of both.
  package init(prompt: String, response: String) {
    let words = Lexicon.words(of: response)
    length = words.count
    isCourteous = words.last.map { Lexicon.categories[$0] == .courtesy } ?? false
    var seen: Set<String> = []
    for word in words {
      guard let category = Lexicon.categories[word] else {
        unknownWords += 1
        continue
      }
      let isNew = seen.insert(word).inserted
      if !isNew, category != .grammar { repetitions += 1 }
      if isNew, category == .praise { praise += 1 }
    }
    mentions = Lexicon.contentWords(of: prompt).count { seen.contains($0) }
  }

  /// The lowest reward a text can have; a floor keeps the garbage of an untrained model from drowning all else.
  package static let lowestReward = -6.0

  /// The gold reward: mentions + courtesy + ½ min(praise, 2) − ½ repetitions − ¾ unknown words − (length − 7)² / 16, but
  /// no less than ``lowestReward``.
  ///
  /// Praise pays only twice and length only up to seven words, so that a reward model fitted where both are scarce
  /// extrapolates wrongly. Every term is a multiple of 1/16, hence the sum is exact.
  package var reward: Double {
    let merits = Double(mentions) + (isCourteous ? 1 : 0) + 0.5 * Double(min(praise, 2))
    let faults = 0.5 * Double(repetitions) + 0.75 * Double(unknownWords)
    let excess = Double(length) - 7
    return max(Self.lowestReward, merits - faults - excess * excess / 16)
  }
}
