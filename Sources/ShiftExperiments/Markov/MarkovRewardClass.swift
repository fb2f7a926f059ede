import Kernels

/// What a linear reward model sees of a text. Everything is a count over √T, as in the gold reward.
package enum MarkovRewardClass: Sendable, CaseIterable {
  /// How often each token occurs: cannot express the gold reward at all.
  case unigrams
  /// How often each token follows each other: cannot express that token 0 turns bad.
  case bigrams
  /// That, and by how much token 0 exceeds 30 %: can express the gold reward.
  case complete

  package var width: Int {
    switch self {
    case .unigrams: MarkovChain.vocabulary
    case .bigrams: MarkovChain.vocabulary * MarkovChain.vocabulary
    case .complete: MarkovChain.vocabulary * MarkovChain.vocabulary + 1
    }
  }

  /// Features of each text.
  package func features(of texts: MarkovTexts) -> DoubleMatrix {
    var features = DoubleMatrix(rows: texts.count, columns: width)
    let (width, length) = (width, texts.length)
    features.elements.withUnsafeMutableBufferPointer { features in
      for text in 0..<texts.count {
        fill(
          UnsafeMutableBufferPointer(rebasing: features[text * width..<(text + 1) * width]),
          texts.tokens[text * length..<(text + 1) * length])
      }
    }
    return features
  }

  /// Adds the features of a text to a row of zeros.
  private func fill(_ row: UnsafeMutableBufferPointer<Double>, _ tokens: ArraySlice<UInt8>) {
    let scale = 1 / Double(tokens.count).squareRoot()
    if self == .unigrams {
      for token in tokens { row[Int(token)] += scale }
      return
    }
    for (previous, token) in zip(tokens, tokens.dropFirst()) {
      row[Int(previous) * MarkovChain.vocabulary + Int(token)] += scale
    }
    if self == .complete {
      let excess = Double(tokens.count { $0 == 0 }) - MarkovWorld.tolerableShare * Double(tokens.count)
      row[width - 1] = max(excess, 0) * scale
    }
  }

  /// Features of the first text less those of the second, for each pair.
  package func gaps(of pairs: MarkovPairs) -> DoubleMatrix { gaps(features(of: pairs.texts)) }

  /// Each even row less the one behind it.
  func gaps(_ features: DoubleMatrix) -> DoubleMatrix {
    var gaps = DoubleMatrix(rows: features.rows / 2, columns: width)
    for pair in 0..<gaps.rows {
      for column in 0..<width { gaps[pair, column] = features[2 * pair, column] - features[2 * pair + 1, column] }
    }
    return gaps
  }
}
