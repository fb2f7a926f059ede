import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// How long texts are and how far the target domain is from the source.
package struct MarkovRegime: Sendable, Equatable {
  package let name: String
  /// T, tokens of each text.
  package let length: Int
  /// κ, the strength of the shift.
  package let shift: Double

  package init(name: String, length: Int, shift: Double) {
    self.name = name
    self.length = length
    self.shift = shift
  }

  package static let all = [
    MarkovRegime(name: "A", length: 12, shift: 0.35), MarkovRegime(name: "B", length: 12, shift: 0.7),
    MarkovRegime(name: "C", length: 32, shift: 0.35), MarkovRegime(name: "D", length: 32, shift: 0.7),
  ]
}

/// Two domains whose density ratio is known in closed form, and a gold reward.
///
/// The source is a chain with logits L ~ N(0, 1); the target has the logits L + κ·D, D ~ N(0, 1) with 1.5 more on token 0. The
/// gold reward of a text of T tokens is
///
///     r* = 3·Σ g(y₍ₜ₋₁₎, yₜ)/√T − 14·max(c₀/T − 0.3, 0)
///
/// with g ~ N(0, 0.5²), 0.6 more on token 0, and c₀ the number of tokens 0. So token 0 is good as long as it is rare, as it is
/// in the source, and bad where it is frequent, as in the target: a reward model that counts tokens extrapolates wrongly.
package struct MarkovWorld: Sendable {
  /// The share of token 0 above which it is bad.
  static let tolerableShare = 0.3

  package let regime: MarkovRegime
  package let seed: UInt64
  package let source: MarkovChain
  package let target: MarkovChain
  /// 3·g/√T; nothing for the first token.
  private let taste: [Double]

  /// What random numbers of a world are drawn for.
  private enum Draw: Int {
    case logits, shift, taste, sourceTexts, targetTexts, testTexts, sourceLabels, targetLabels
  }

  /// The world of a seed; regimes share its logits and tastes.
  package init(_ regime: MarkovRegime, seed: UInt64) {
    func normals(_ draw: Draw, onTokenZero offset: Double = 0, deviation: Double = 1) -> [Double] {
      let stream = RandomStream(seed: seed, purpose: .syntheticWorld, draw.rawValue)
      return (0..<MarkovChain.tableCount).map { place in
        deviation * stream.normal(at: place) + (place % MarkovChain.vocabulary == 0 ? offset : 0)
      }
    }
    self.regime = regime
    self.seed = seed
    let logits = normals(.logits)
    source = MarkovChain(logits: logits)
    target = MarkovChain(logits: zip(logits, normals(.shift, onTokenZero: 1.5)).map { $0 + regime.shift * $1 })
    let scale = 3 / Double(regime.length).squareRoot()
    taste = normals(.taste, onTokenZero: 0.6, deviation: 0.5).enumerated().map { place, value in
      place / MarkovChain.vocabulary == MarkovChain.start ? 0 : scale * value
    }
  }

  /// r* of each text.
  package func rewards(of texts: MarkovTexts) -> [Double] {
    zip(texts.sums(of: taste), excess(of: texts)).map { $0 - 14 * $1 }
  }

  /// max(c₀/T − 0.3, 0) of each text.
  private func excess(of texts: MarkovTexts) -> [Double] {
    texts.shares(ofToken: 0).map { max($0 - Self.tolerableShare, 0) }
  }

  /// The preference data of the source.
  package func sourcePairs(_ count: Int) -> MarkovPairs { pairs(count, source, .sourceTexts, .sourceLabels) }

  /// As many pairs of the target; their labels are for the oracle alone.
  package func targetPairs(_ count: Int) -> MarkovPairs { pairs(count, target, .targetTexts, .targetLabels) }

  /// Pairs of the target that nothing is trained on.
  package func testPairs(_ count: Int) -> MarkovPairs { pairs(count, target, .testTexts, nil) }

  private func pairs(_ count: Int, _ chain: MarkovChain, _ texts: Draw, _ labels: Draw?) -> MarkovPairs {
    func stream(_ draw: Draw) -> RandomStream {
      RandomStream(seed: seed, purpose: .syntheticWorld, draw.rawValue, regime.length)
    }
    let drawn = chain.texts(2 * count, length: regime.length, stream(texts))
    var pairs = MarkovPairs(texts: drawn, rewards: rewards(of: drawn))
    if let labels { pairs.label(stream(labels)) }
    return pairs
  }
}

extension MarkovTexts {
  /// The share of a token in each text.
  func shares(ofToken token: UInt8) -> [Double] {
    (0..<count).map { text in
      let own = tokens[text * length..<(text + 1) * length]
      return Double(own.count { $0 == token }) / Double(length)
    }
  }
}

/// Pairs of texts: text 2i and text 2i + 1 are pair i.
package struct MarkovPairs: Sendable {
  package let texts: MarkovTexts
  /// r* of each text.
  package let rewards: [Double]
  /// 1 where the first text is preferred, otherwise 0; empty where nobody was asked.
  package private(set) var labels: [Double] = []

  init(texts: MarkovTexts, rewards: [Double]) {
    self.texts = texts
    self.rewards = rewards
  }

  package var count: Int { texts.count / 2 }

  /// r* of the first text less that of the second, for each pair.
  package var rewardGaps: [Double] { pairGaps(rewards) }

  /// Labels after Bradley and Terry: P(first preferred) = σ(gap of rewards).
  fileprivate mutating func label(_ stream: RandomStream) {
    labels = rewardGaps.enumerated().map { stream.uniform(at: $0) < sigmoid($1) ? 1 : 0 }
  }

  /// Verdicts of a judge that prefers the text of higher reward, but errs at a rate, at random.
  package func verdicts(errorRate: Double, _ stream: RandomStream) -> [Double] {
    rewardGaps.enumerated().map { (stream.uniform(at: $0) < errorRate) == ($1 > 0) ? 0 : 1 }
  }
}

/// The first of each two values less the second.
func pairGaps(_ values: [Double]) -> [Double] {
  stride(from: 0, to: values.count, by: 2).map { values[$0] - values[$0 + 1] }
}
