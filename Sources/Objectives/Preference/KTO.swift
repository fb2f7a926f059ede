import AlignmentCore

/// Kahneman–Tversky optimisation (Ethayarajh et al. 2024, arXiv 2402.01306, eq. 8): a desirable completion costs
/// λ_D·(1 − σ(β·(z − z₀))), an undesirable one λ_U·(1 − σ(β·(z₀ − z))), z its log-ratio and z₀ the reference point.
///
/// The reference point estimates the divergence of the policy from the reference as the mean log-ratio of completions
/// behind other prompts, over the whole batch, at least 0.
package struct KTO: LabelledObjective {
  package enum ReferencePoint: String, CaseIterable, Sendable {
    /// The estimate of the paper.
    case mismatched
    /// The mean log-ratio of the other label's completions in the batch, at least 0 (HALOs' `kto-simple`).
    case opposite
    /// 0 (HALOs' `kto-zero`, TRL's `apo_zero_unpaired`).
    case zero
  }

  package static let name = "kto"
  package static let summary = "prospect-theoretic loss on single labelled completions, arXiv 2402.01306"
  package static let options = [
    OptionDescription.beta,
    OptionDescription("desirable_weight", default: 1, in: 0...1e3, "lambda_D: factor on desirable completions"),
    OptionDescription("undesirable_weight", default: 1, in: 0...1e3, "lambda_U: factor on undesirable completions"),
    OptionDescription("kl", default: ReferencePoint.mismatched, "what log-ratios are compared with"),
  ]

  package var traits: ObjectiveTraits {
    let survey: ObjectiveTraits.Survey = kl == .zero ? .none : kl == .opposite ? .own : .mismatched
    return ObjectiveTraits(.labelled, needsReference: true, survey: survey)
  }

  private let beta: Double
  private let desirableWeight: Double
  private let undesirableWeight: Double
  private let kl: ReferencePoint
  /// What desirable and undesirable completions are compared with in this batch.
  private var desirablePoint = 0.0
  private var undesirablePoint = 0.0

  package init(options: OptionValues) {
    beta = options["beta"]
    desirableWeight = options["desirable_weight"]
    undesirableWeight = options["undesirable_weight"]
    kl = options.choice("kl")
  }

  func loss(desirable completion: DualCompletion, in group: ObjectiveGroup) -> Dual {
    desirableWeight * logistic(beta * (Dual(desirablePoint) - completion.logRatio))
  }

  func loss(undesirable completion: DualCompletion, in group: ObjectiveGroup) -> Dual {
    undesirableWeight * logistic(beta * (completion.logRatio - Dual(undesirablePoint)))
  }

  package func reward(_ completion: ScoredCompletion) -> Double { beta * completion.logRatio }

  package mutating func prepare(for batch: [ObjectiveGroup]) {
    switch kl {
    case .zero: return
    case .mismatched:
      desirablePoint = Self.meanLogRatio(batch) { _ in true }
      undesirablePoint = desirablePoint
    case .opposite:
      desirablePoint = Self.meanLogRatio(batch) { !$0.isDesirable }
      undesirablePoint = Self.meanLogRatio(batch) { $0.isDesirable }
    }
  }

  /// At least 0; 0 where nothing is selected.
  private static func meanLogRatio(_ batch: [ObjectiveGroup], where isSelected: (ObjectiveGroup) -> Bool) -> Double {
    var (sum, count) = (0.0, 0.0)
    for group in batch where isSelected(group) {
      for completion in group.completions {
        (sum, count) = (sum + group.weight * completion.logRatio, count + group.weight)
      }
    }
    // In this order a mean that is not a number shows.
    return count > 0 ? max(sum / count, 0) : 0
  }

  package var metrics: [(name: String, value: Double)] {
    kl == .mismatched ? [("kl", desirablePoint)] : []
  }
}
