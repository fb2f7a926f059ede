#if canImport(Glibc)
  import Glibc
#endif

/// A pair of responses of which people preferred the first.
package struct LabelledPair: Sendable, Equatable {
  /// UTF-8 bytes, as are the responses.
  package var prompt: [UInt8]
  package var chosen: [UInt8]
  package var rejected: [UInt8]

  package init(prompt: [UInt8], chosen: [UInt8], rejected: [UInt8]) {
    (self.prompt, self.chosen, self.rejected) = (prompt, chosen, rejected)
  }
}

/// A number that pairs can be selected by. It does not change when the responses are exchanged, so selection by it leaves
/// P(label | pair) as it is: the shift is one of covariates alone.
package enum SelectionCovariate: String, Sendable, CaseIterable {
  case lengthRatio = "length ratio"
  case totalLength = "total length"
  case promptLength = "prompt length"
  case turns
  case questions
  case overlap = "shared words"

  /// u of a pair.
  package func value(of pair: LabelledPair) -> Double {
    let (a, b) = (Double(pair.chosen.count + 1), Double(pair.rejected.count + 1))
    switch self {
    case .lengthRatio: return abs(log(a / b))
    case .totalLength: return log(a + b)
    case .promptLength: return log1p(Double(pair.prompt.count))
    case .turns: return log1p(Double(Self.turns(pair.prompt)))
    case .questions: return log1p(Double((pair.chosen + pair.rejected).count { $0 == UInt8(ascii: "?") }))
    case .overlap:
      let (a, b) = (Set(TextFeatures.words(pair.chosen)), Set(TextFeatures.words(pair.rejected)))
      return Double(a.intersection(b).count + 1) / Double(a.union(b).count + 1)
    }
  }

  /// Messages of people in a dialogue.
  private static func turns(_ prompt: [UInt8]) -> Int {
    String(decoding: prompt, as: UTF8.self).split(separator: "\n\nHuman:").count
  }
}

/// Pairs with everything that trials need of them, computed once.
package struct SelectionPairs: Sendable {
  /// φ(chosen) − φ(rejected): pairs × features.
  let gaps: SparseRows
  /// The number of each pair's prompt.
  package let prompts: [Int]
  /// Distinct prompts.
  package let promptCount: Int
  /// u of each pair, in the order of ``SelectionCovariate/allCases``: pairs × covariates.
  package let covariates: [[Double]]

  package init(_ pairs: [LabelledPair]) {
    var gaps = SparseRows(columns: TextFeatures.columns)
    for pair in pairs { gaps.append(TextFeatures.gap(pair.chosen, pair.rejected)) }
    self.gaps = gaps
    var numbers: [[UInt8]: Int] = [:]
    for pair in pairs where numbers[pair.prompt] == nil { numbers[pair.prompt] = numbers.count }
    prompts = pairs.compactMap { numbers[$0.prompt] }
    promptCount = numbers.count
    covariates = pairs.map { pair in SelectionCovariate.allCases.map { $0.value(of: pair) } }
  }

  package var count: Int { prompts.count }
}
