import AlignmentCore

/// Minus the share of a sample's word n-grams that it has said before (Yeo et al. 2025, arXiv 2502.03373, appendix).
package struct RepetitionPenalty: TextReward {
  package static let name = "repetition"
  package static let summary = "minus the share of repeated word n-grams, arXiv 2502.03373"
  package static let options = [
    OptionDescription("ngram", default: 3, in: 1...100, "words of an n-gram")
  ]

  private let size: Int

  package init(options: OptionValues) { size = Int(options["ngram"]) }

  package func reward(_ sample: JudgedSample) -> Double {
    let words = sample.response.split(whereSeparator: \.isWhitespace)
    guard words.count >= size else { return 0 }
    let count = words.count - size + 1
    let distinct = Set((0..<count).map { words[$0..<$0 + size].joined(separator: " ") }).count
    return -Double(count - distinct) / Double(count)
  }
}
