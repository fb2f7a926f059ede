import AlignmentCore

/// Weighted preference optimisation (Zhou et al. 2024, arXiv 2406.11827, §3.2): pairs count by how likely the policy is to
/// say them, so that data of other models come to resemble its own. The weight of a completion is the geometric mean over
/// its tokens of π(y_t), divided by what the alignment holds a token of the policy itself to have.
package struct WPO: StepWeighting {
  package enum Alignment: String, CaseIterable, Sendable {
    /// 1.
    case plain
    /// max_v π(v): a completion that greedy decoding would say has weight 1.
    case greedy
    /// Σ_v π(v)², the mean probability of a token that is drawn.
    case sampled
  }

  package static let name = "wpo"
  package static let summary = "pairs count by their likelihood under the policy, arXiv 2406.11827"
  package static let options = [
    OptionDescription("wpo_alignment", default: Alignment.sampled, "what a token's probability is divided by"),
    OptionDescription("wpo_clamp", default: YesOrNo.yes, "weights of 1 at most, as the authors have them"),
  ]

  private let alignment: Alignment
  private let isClamped: Bool

  package init(options: OptionValues) {
    alignment = options.choice("wpo_alignment")
    isClamped = options.choice("wpo_clamp") == YesOrNo.yes
  }

  package var entropyOrder: RenyiOrder? {
    switch alignment {
    case .plain: nil
    case .greedy: .infinity
    case .sampled: .two
    }
  }

  /// The mean over tokens of log π(y_t) + H, H the entropy that belongs to the alignment: log π(y_t) − log max_v π(v), or
  /// log π(y_t) − log Σ_v π(v)². A completion without tokens counts as one that is certain.
  package func logWeight(of completion: TokenSums) -> Double {
    (completion.policy + completion.entropy) / Double(max(completion.tokens, 1))
  }

  package func largestLogWeight(completions: Int) -> Double { isClamped ? 0 : .infinity }
}
