import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// A weight towards the policy that rewards would make optimal, π_r(y|x) = π_sft(y|x)·exp(r(x, y)/β)/Z(x) (statistical
/// rejection sampling, Liu et al. 2024, arXiv 2309.06657, eq. 4):
/// log π_sft − log π_s + r/β − log Ẑ(x).
///
/// Ẑ(x) is the mean of exp(r/β) over samples of the policy to the same prompt; where a prompt has none, the source
/// responses to it are brought to a mean weight of 1.
package struct RSOEstimator: DensityEstimator {
  package enum PartitionFunction: String, CaseIterable, Sendable {
    /// Mean weight 1 on each prompt's source responses.
    case responses
    /// Mean over samples of the policy.
    case samples
  }

  package enum PolicyRatio: String, CaseIterable, Sendable {
    /// Source and policy are taken to be the same.
    case no
    case yes
  }

  package static let name = "rso"
  package static let summary = "weight towards the reward-optimal policy, arXiv 2309.06657"
  package static let options = [
    OptionDescription("beta", default: 0.5, in: 1e-6...1e6, "β: the reward is divided by it"),
    OptionDescription("partition", default: PartitionFunction.samples, "what Z(x) is estimated by"),
    OptionDescription(
      "policy_ratio", default: PolicyRatio.no, "whether the policy's ratio to the generators is a factor"),
  ]

  private let beta: Double
  private let partition: PartitionFunction
  private let policyRatio: PolicyRatio

  package init(options: OptionValues) {
    beta = options["beta"]
    partition = options.choice("partition")
    policyRatio = options.choice("policy_ratio")
  }

  package var needs: DensityNeeds {
    var needs: DensityNeeds = .rewards
    if partition == .samples { needs.insert(.targetSamples) }
    if policyRatio == .yes { needs.formUnion([.targetLogProbabilities, .sourceLogProbabilities]) }
    return needs
  }

  package func estimate(_ evidence: DensityEvidence) throws -> DensityEstimate {
    let source = evidence.source
    try evidence.require(source.rewards.count, "rewards", for: Self.name, hint: "give a reward model")
    try source.check(source.rewards, "reward", hint: "look at the reward model", \.isFinite)
    let ratios =
      policyRatio == .yes
      ? try evidence.logRatios(for: Self.name) : [Double](repeating: 0, count: source.count)
    let tilted = zip(ratios, source.rewards).map { $0 + $1 / beta }
    let sampled = partition == .samples ? try partitions(evidence.target) : [:]
    let normalizers = logMeans(of: tilted, by: source.prompts).merging(sampled) { $1 }
    // A prompt none of whose responses the policy ever says has no normalizer, and needs none.
    var estimate = DensityEstimate(
      logRatios: zip(tilted, source.prompts).map { $0 > -.infinity ? $0 - normalizers[$1, default: 0] : $0 })
    let prompts = Set(source.prompts)
    estimate.findings = [
      ("acceptance_rate", acceptanceRate(source)),
      ("prompts_without_samples", Double(prompts.count { sampled[$0] == nil }) / Double(prompts.count)),
    ]
    return estimate
  }

  /// log Ẑ of each prompt that has samples.
  private func partitions(_ samples: DomainResponses) throws -> [Int: Double] {
    guard samples.rewards.count == samples.count else {
      throw Fault(
        .data, "there are \(samples.rewards.count) rewards of \(samples.count) samples", at: "weights",
        hint: "give a reward model, or let partition be responses")
    }
    try samples.check(samples.rewards, "reward", of: "sample", hint: "look at the reward model", \.isFinite)
    return logMeans(of: samples.rewards.map { $0 / beta }, by: samples.prompts)
  }

  /// The share of the source responses that rejection sampling among those to the same prompt would accept at first
  /// (theorem 1).
  private func acceptanceRate(_ source: DomainResponses) -> Double {
    let best = Dictionary(zip(source.prompts, source.rewards), uniquingKeysWith: max)
    let chances = zip(source.prompts, source.rewards).map { exp(($1 - best[$0, default: $1]) / beta) }
    return chances.compensatedSum() / Double(chances.count)
  }
}
