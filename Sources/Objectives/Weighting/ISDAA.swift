import AlignmentCore

/// Importance sampling for direct alignment (Nguyen et al. 2025, arXiv 2506.08681, §4): pairs count by the ratio of policy
/// and reference, π(y|x) / π_ref(y|x) for both completions, cut at e^ε for each, so that the loss is of what the policy
/// says by now.
package struct ISDAA: StepWeighting {
  package static let name = "is_daa"
  package static let summary = "pairs count by the policy's ratio to the reference, arXiv 2506.08681"
  package static let options = [
    OptionDescription(
      "is_daa_epsilon", default: 0.2, in: 0...10, "log-ratio per completion at which weights are cut")
  ]

  private let epsilon: Double

  package init(options: OptionValues) { epsilon = options["is_daa_epsilon"] }

  package var needsReference: Bool { true }

  package func logWeight(of completion: TokenSums) -> Double { completion.policy - completion.reference }

  package func largestLogWeight(completions: Int) -> Double { Double(completions) * epsilon }
}
