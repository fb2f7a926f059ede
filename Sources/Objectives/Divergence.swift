import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// The f-divergence that holds the policy near the reference (Wang et al. 2023, arXiv 2309.16240, table 2): an objective
/// takes S(u) where it had the log-ratio u.
package enum Divergence: Sendable, Equatable {
  case reverseKL
  case forwardKL
  case jensenShannon
  case alpha(Double)

  package enum Name: String, CaseIterable, Sendable {
    case reverseKL = "reverse_kl"
    case forwardKL = "forward_kl"
    case jensenShannon = "js_divergence"
    case alpha = "alpha_divergence"
  }

  package init(_ name: Name, alpha: Double) {
    switch name {
    case .reverseKL: self = .reverseKL
    case .forwardKL: self = .forwardKL
    case .jensenShannon: self = .jensenShannon
    // For α → 1 the alpha divergence is the reverse KL, and 1/(α − 1) drowns the differences of scores.
    case .alpha: self = alpha > 1 - 1e-6 ? .reverseKL : .alpha(alpha)
    }
  }

  /// S(u), f′(e^u) up to a constant.
  func score(_ u: Dual) -> Dual {
    switch self {
    case .reverseKL: u
    case .forwardKL: -exp(-u)
    case .jensenShannon: logSigmoid(u)
    case .alpha(let a): exp((a - 1) * u) / (a - 1)
    }
  }
}

/// An objective on the scores of an f-divergence instead of log-ratios.
struct DivergentObjective: Objective {
  static let name = "divergence"
  static let summary = "an objective under another f-divergence"
  static let options: [OptionDescription] = []

  private var base: any Objective
  private let divergence: Divergence

  init(_ base: any Objective, _ divergence: Divergence) {
    self.base = base
    self.divergence = divergence
  }

  init(options: OptionValues) { preconditionFailure("made from another objective") }

  var traits: ObjectiveTraits { base.traits }
  var magnitude: Double { base.magnitude }

  func loss(of group: ObjectiveGroup) -> Dual {
    let (scores, slopes) = transformed(group)
    let loss = base.loss(of: scores)
    return Dual(loss.value, derivatives: loss.derivatives * slopes)
  }

  /// The group with scores for log-ratios, and the derivative of each.
  private func transformed(_ group: ObjectiveGroup) -> (group: ObjectiveGroup, slopes: SIMD2<Double>) {
    var result = (group: group, slopes: SIMD2<Double>(repeating: 1))
    for (index, completion) in group.completions.enumerated() {
      let score = divergence.score(Dual(completion.logRatio, derivatives: [1, 0]))
      result.group.completions[index].policy = completion.reference + score.value
      result.slopes[index] = score.derivatives[0]
    }
    return result
  }

  func reward(_ completion: ScoredCompletion) -> Double { base.reward(completion) }
  mutating func prepare(for batch: [ObjectiveGroup]) { base.prepare(for: batch) }
  mutating func observe(_ batch: [ObjectiveGroup]) { base.observe(batch.map { transformed($0).group }) }
  var metrics: [(name: String, value: Double)] { base.metrics }

  var state: [Double] {
    get { base.state }
    set { base.state = newValue }
  }
}
