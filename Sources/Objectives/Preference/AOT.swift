import AlignmentCore

/// Distributional alignment by optimal transport on pairs (Melnyk et al. 2024, arXiv 2406.05882, §3, "AOT paired"): the
/// margins log π(y⁺|x) − log π(y⁻|x) of the policy are compared, in order of size, with those of the reference, so that
/// their distribution comes to dominate the reference's. The order is that of the whole batch.
package struct AOT: Objective {
  package static let name = "aot"
  package static let summary = "stochastic dominance of the policy's margins over the reference's, arXiv 2406.05882"
  package static let options = [OptionDescription.beta, .labelSmoothing]
  package let traits = ObjectiveTraits(.pair, needsReference: true, survey: .own)

  private let beta: Double
  private let labelSmoothing: Double
  private var coupling = QuantileCoupling()
  private var policyMargins: [Double] = []
  private var referenceMargins: [Double] = []
  private var weights: [Double] = []

  package init(options: OptionValues) {
    beta = options["beta"]
    labelSmoothing = options["label_smoothing"]
  }

  package mutating func prepare(for batch: [ObjectiveGroup]) {
    policyMargins.removeAll(keepingCapacity: true)
    referenceMargins.removeAll(keepingCapacity: true)
    weights.removeAll(keepingCapacity: true)
    for group in batch {
      policyMargins.append(group.completions[0].policy - group.completions[1].policy)
      referenceMargins.append(group.completions[0].reference - group.completions[1].reference)
      weights.append(group.weight)
    }
    coupling.match(policyMargins, referenceMargins, weights: weights)
  }

  package func loss(of group: ObjectiveGroup) -> Dual {
    let (chosen, rejected) = (
      DualCompletion(group.completions[0], index: 0), DualCompletion(group.completions[1], index: 1)
    )
    let p = group.softLabel * (1 - labelSmoothing) + (1 - group.softLabel) * labelSmoothing
    var sum: Dual = 0
    coupling.forEachMatch(ofFirst: group.slot) { other, share in
      let z = beta * (chosen.policy - rejected.policy - Dual(referenceMargins[other]))
      sum = sum + share * labelledLogistic(z, p)
    }
    return sum
  }

  package func reward(_ completion: ScoredCompletion) -> Double { beta * completion.logRatio }
}

/// Distributional alignment by optimal transport without pairs (arXiv 2406.05882, §3, "AOT unpaired"): the log-ratios of
/// the chosen completions are compared, in order of size, with those of the rejected ones of the whole batch.
package struct AOTUnpaired: Objective {
  package static let name = "aot_unpaired"
  package static let summary = "stochastic dominance of chosen over rejected log-ratios, arXiv 2406.05882"
  package static let options = [OptionDescription.beta, .labelSmoothing]
  package let traits = ObjectiveTraits(.pair, needsReference: true, survey: .own)

  private let beta: Double
  private let labelSmoothing: Double
  private var coupling = QuantileCoupling()
  private var chosen: [Double] = []
  private var rejected: [Double] = []
  private var labels: [Double] = []
  private var weights: [Double] = []

  package init(options: OptionValues) {
    beta = options["beta"]
    labelSmoothing = options["label_smoothing"]
  }

  package mutating func prepare(for batch: [ObjectiveGroup]) {
    chosen.removeAll(keepingCapacity: true)
    rejected.removeAll(keepingCapacity: true)
    labels.removeAll(keepingCapacity: true)
    weights.removeAll(keepingCapacity: true)
    for group in batch {
      chosen.append(group.completions[0].logRatio)
      rejected.append(group.completions[1].logRatio)
      labels.append(rightness(group))
      weights.append(group.weight)
    }
    coupling.match(chosen, rejected, weights: weights)
  }

  private func rightness(_ group: ObjectiveGroup) -> Double {
    group.softLabel * (1 - labelSmoothing) + (1 - group.softLabel) * labelSmoothing
  }

  /// A match belongs to two groups: each counts half of its loss, and the derivative with respect to its own completion.
  package func loss(of group: ObjectiveGroup) -> Dual {
    let p = rightness(group)
    let c = DualCompletion(group.completions[0], index: 0).logRatio
    let r = DualCompletion(group.completions[1], index: 1).logRatio
    var sum: Dual = 0
    coupling.forEachMatch(ofFirst: group.slot) { other, share in
      sum = sum + share * labelledLogistic(beta * (c - Dual(rejected[other])), (p + labels[other]) / 2)
    }
    coupling.forEachMatch(ofSecond: group.slot) { other, share in
      sum = sum + share * labelledLogistic(beta * (Dual(chosen[other]) - r), (p + labels[other]) / 2)
    }
    return Dual(sum.value / 2, derivatives: sum.derivatives)
  }

  package func reward(_ completion: ScoredCompletion) -> Double { beta * completion.logRatio }
}

/// −p·log σ(z) − (1 − p)·log σ(−z)
private func labelledLogistic(_ z: Dual, _ p: Double) -> Dual { -(p * logSigmoid(z) + (1 - p) * logSigmoid(-z)) }
