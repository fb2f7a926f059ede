/// What a gate says.
package enum GateVerdict: String, Sendable, CaseIterable, Comparable {
  /// There was nothing to judge by.
  case skipped
  case passed
  case warned
  case refused

  package static func < (a: GateVerdict, b: GateVerdict) -> Bool { a.severity < b.severity }

  private var severity: Int {
    switch self {
    case .skipped: 0
    case .passed: 1
    case .warned: 2
    case .refused: 3
    }
  }
}

/// Bounds that a number should not be beyond.
package struct GateBounds: Sendable, Equatable {
  package var below: Double?
  package var above: Double?

  package init(below: Double? = nil, above: Double? = nil) {
    self.below = below
    self.above = above
  }

  /// Whether the number is below the one or above the other. A number on a bound is not; NaN is beyond any.
  package func areCrossed(by value: Double) -> Bool {
    below.map { !(value >= $0) } ?? false || above.map { !(value <= $0) } ?? false
  }
}

/// A question asked of weights, and the answer.
package struct WeightGate: Sendable, Equatable {
  /// What is looked at.
  package enum Name: String, Sendable, CaseIterable {
    /// Effective sample size of the flattened weights as a share of the examples.
    case effectiveShare = "effective_share"
    /// Share of the largest flattened weight in their sum.
    case maxShare = "max_share"
    /// k̂ of the raw weights.
    case paretoShape = "pareto_shape"
    /// Held-out AUC of the classifier of domains.
    case auc
    /// Largest |standardised mean difference| of a feature under the flattened weights.
    case balance
    /// |Correlation| of raw log w with length.
    case lengthCorrelation = "length_correlation"
    /// Mean of the responses' ratios.
    case meanRatio = "mean_ratio"
  }

  package var name: Name
  /// nil where there was nothing to judge by.
  package var value: Double?
  /// Beyond these the gate warns.
  package var warn: GateBounds
  /// Beyond these the gate refuses.
  package var refuse: GateBounds
  package var verdict: GateVerdict

  package init(_ name: Name, _ value: Double?, warn: GateBounds, refuse: GateBounds) {
    self.name = name
    self.value = value
    self.warn = warn
    self.refuse = refuse
    guard let value else {
      verdict = .skipped
      return
    }
    verdict = refuse.areCrossed(by: value) ? .refused : warn.areCrossed(by: value) ? .warned : .passed
  }
}

/// The bounds of all gates.
///
/// A gate whose value the weights set refuses only what uniform weights, the fallback, would do better. So k̂ is
/// refused by what the flattening made of it, and balance only where weighting made it worse than it was.
package struct WeightGates: Sendable, Equatable {
  /// Where a gate warns and where it refuses.
  package struct Pair: Sendable, Equatable {
    package var warn: GateBounds
    package var refuse: GateBounds

    /// Without bounds, it lets everything pass.
    package init(warn: GateBounds = GateBounds(), refuse: GateBounds = GateBounds()) {
      self.warn = warn
      self.refuse = refuse
    }
  }

  package var effectiveShare = Pair(warn: .init(below: 0.3), refuse: .init(below: 0.05))
  /// The warning is in multiples of a fair share, 1/n; what refuses is never below it.
  package var maxShare = Pair(warn: .init(above: 10), refuse: .init(above: 0.1))
  /// The refusal is of the shape of the flattened weights: w^τ has the shape τ·k̂, and one above 1 has no mean.
  package var paretoShape = Pair(warn: .init(above: 0.7), refuse: .init(above: 1))
  package var auc = Pair(warn: .init(above: 0.9), refuse: .init(above: 0.98))
  package var balance = Pair(warn: .init(above: 0.1), refuse: .init(above: 0.25))
  package var lengthCorrelation = Pair(warn: .init(above: 0.8), refuse: .init())
  package var meanRatio = Pair(warn: .init(below: 0.5, above: 2), refuse: .init(below: 0.1, above: 10))

  package init() {}

  /// Every gate, in the order of its name's cases.
  package func judge(_ evidence: GateEvidence) -> [WeightGate] {
    let fair = 1 / Double(evidence.examples)
    let warnedShare = maxShare.warn.above.map { $0 * fair }
    let refusedShare = maxShare.refuse.above.map { max($0, warnedShare ?? 0) }
    let refusedShape = paretoShape.refuse.above.flatMap { evidence.exponent > 0 ? $0 / evidence.exponent : nil }
    let before = evidence.balance.map { abs($0.before) }.max()
    let refusedBalance = balance.refuse.above.map { max($0, before ?? 0) }
    return [
      gate(.effectiveShare, evidence.effectiveShare, effectiveShare),
      WeightGate(
        .maxShare, evidence.maxShare, warn: .init(above: warnedShare), refuse: .init(above: refusedShare)),
      WeightGate(
        .paretoShape, evidence.paretoShape, warn: paretoShape.warn, refuse: .init(above: refusedShape)),
      gate(.auc, evidence.auc, auc),
      WeightGate(
        .balance, evidence.balance.map { abs($0.after) }.max(), warn: balance.warn,
        refuse: .init(above: refusedBalance)),
      gate(.lengthCorrelation, evidence.lengthCorrelation.map(abs), lengthCorrelation),
      gate(.meanRatio, evidence.meanRatio, meanRatio),
    ]
  }

  private func gate(_ name: WeightGate.Name, _ value: Double?, _ pair: Pair) -> WeightGate {
    WeightGate(name, value, warn: pair.warn, refuse: pair.refuse)
  }
}

/// What gates judge by; nil or empty where it is not known.
package struct GateEvidence {
  package var examples: Int
  package var effectiveShare: Double
  package var maxShare: Double
  package var paretoShape: Double?
  /// What the logs of the raw weights were multiplied by; 0 where the flattened weights are bounded.
  package var exponent: Double
  package var auc: Double?
  package var balance: [FeatureBalance]
  package var lengthCorrelation: Double?
  package var meanRatio: Double?

  package init(
    examples: Int, effectiveShare: Double, maxShare: Double, paretoShape: Double? = nil, exponent: Double = 1,
    auc: Double? = nil, balance: [FeatureBalance] = [], lengthCorrelation: Double? = nil, meanRatio: Double? = nil
  ) {
    self.examples = examples
    self.effectiveShare = effectiveShare
    self.maxShare = maxShare
    self.paretoShape = paretoShape
    self.exponent = exponent
    self.auc = auc
    self.balance = balance
    self.lengthCorrelation = lengthCorrelation
    self.meanRatio = meanRatio
  }
}
