import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// Texts of a fixed length, one byte for each token, one text after the other.
package struct MarkovTexts: Sendable {
  /// Tokens of each text.
  package let length: Int
  package let tokens: [UInt8]

  package init(length: Int, tokens: [UInt8]) {
    precondition(tokens.count % length == 0, "\(tokens.count) tokens are no texts of \(length)")
    self.length = length
    self.tokens = tokens
  }

  package var count: Int { tokens.count / length }

  /// Texts of some places.
  package subscript(range: Range<Int>) -> MarkovTexts {
    MarkovTexts(
      length: length, tokens: Array(tokens[range.lowerBound * length..<range.upperBound * length]))
  }

  /// Σ table[previous, token] over each text; the first token follows the row of the start.
  ///
  /// - Parameter table: (start + vocabulary) × vocabulary, the start's row last.
  func sums(of table: [Double]) -> [Double] {
    tokens.withUnsafeBufferPointer { tokens in
      (0..<count).map { text in
        var row = MarkovChain.start
        var sum = 0.0
        for place in text * length..<(text + 1) * length {
          let token = Int(tokens[place])
          sum += table[row * MarkovChain.vocabulary + token]
          row = token
        }
        return sum
      }
    }
  }
}

/// A language model of order 1 over eight tokens: the probability of a token depends on the one before it.
package struct MarkovChain: Sendable {
  package static let vocabulary = 8
  /// The row of tables that the first token follows.
  static let start = vocabulary
  /// Entries of a table: (start + vocabulary) × vocabulary.
  static let tableCount = (vocabulary + 1) * vocabulary

  /// log p(token | previous), (start + vocabulary) × vocabulary.
  package let logProbabilities: [Double]
  /// Upper ends of the tokens' shares of [0, 1), laid out alike.
  private let cumulative: [Double]

  /// The softmax of each row of logits.
  package init(logits: [Double]) {
    precondition(logits.count == Self.tableCount, "\(logits.count) logits instead of \(Self.tableCount)")
    var (logs, sums) = (logits, logits)
    for row in stride(from: 0, to: logits.count, by: Self.vocabulary) {
      let places = row..<row + Self.vocabulary
      let total = log(places.reduce(0) { $0 + exp(logits[$1]) })
      var sum = 0.0
      for place in places {
        logs[place] -= total
        sum += exp(logs[place])
        sums[place] = sum
      }
      // Whatever rounding left of the last share belongs to the last token.
      sums[row + Self.vocabulary - 1] = .infinity
    }
    logProbabilities = logs
    cumulative = sums
  }

  /// Draws texts; those of a stream begin alike for every count.
  package func texts(_ count: Int, length: Int, _ stream: RandomStream) -> MarkovTexts {
    /// A block of random bits draws four tokens.
    let blocks = (length + 3) / 4
    let tokens = [UInt8](unsafeUninitializedCapacity: count * length) { tokens, initialized in
      for text in 0..<count {
        var row = Self.start
        var bits = SIMD4<UInt32>()
        for place in 0..<length {
          if place % 4 == 0 { bits = stream.bits(at: text * blocks + place / 4) }
          row = token(after: row, at: Double(bits[place % 4]) * 0x1p-32)
          tokens.initializeElement(at: text * length + place, to: UInt8(row))
        }
      }
      initialized = count * length
    }
    return MarkovTexts(length: length, tokens: tokens)
  }

  private func token(after row: Int, at share: Double) -> Int {
    cumulative.withUnsafeBufferPointer { cumulative in
      var token = 0
      while cumulative[row * Self.vocabulary + token] <= share { token += 1 }
      return token
    }
  }

  /// log p(text) of each text, in nats.
  package func logProbabilities(of texts: MarkovTexts) -> [Double] { texts.sums(of: logProbabilities) }
}
