import AlignmentCore

/// How near a sample comes to a length: −|tokens − target| / target.
package struct LengthReward: TextReward {
  package static let name = "length"
  package static let summary = "nearness to a length in tokens"
  package static let countsTokens = true
  package static let options = [
    OptionDescription("target_tokens", default: 64, in: 1...1e6, "length that has the highest reward, 0")
  ]

  private let target: Double

  package init(options: OptionValues) { target = options["target_tokens"] }

  package func reward(_ sample: JudgedSample) -> Double { -abs(Double(sample.tokens) - target) / target }
}

/// The soft punishment of overlong samples (Yu et al. 2025, arXiv 2503.14476, eq. 13): 0 up to a length, falling to −1 over a
/// margin, −1 beyond.
package struct OverlongPenalty: TextReward {
  package static let name = "overlong"
  package static let summary = "soft punishment of overlong samples, arXiv 2503.14476"
  package static let countsTokens = true
  package static let options = [
    OptionDescription("free_tokens", default: 64, in: 0...1e6, "longest sample that is not punished"),
    OptionDescription("margin_tokens", default: 16, in: 1...1e6, "over how many more tokens the reward falls to -1"),
  ]

  private let free: Double
  private let margin: Double

  package init(options: OptionValues) {
    free = options["free_tokens"]
    margin = options["margin_tokens"]
  }

  package func reward(_ sample: JudgedSample) -> Double {
    -min(1, max(0, (Double(sample.tokens) - free) / margin))
  }
}
