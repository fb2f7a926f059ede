import Objectives

/// The numbers that a step or an evaluation on preferences reports, under TRL's names.
enum PreferenceMetrics {
  /// A number with its name in the log.
  typealias Named = (name: String, value: Double)
  /// How much a group counts in a mean.
  typealias Weight = (ObjectiveGroup) -> Double

  /// Name and value in the order of the log, without what the objective itself has to tell.
  ///
  /// - Parameters:
  ///   - batch: the groups with what the model said of them.
  ///   - weight: 1 for plain means.
  static func values(
    _ batch: [ObjectiveGroup], objective: any Objective, weight: Weight = { _ in 1 }
  ) -> [Named] {
    let traits = objective.traits
    // The likelihood of the chosen completion can be evaluated on whole pairs, too.
    let arePairs = batch.first?.completions.count == 2
    let rewards: [Named]
    switch traits.groupKind {
    case .pair: rewards = pairs(batch, objective, weight)
    case .labelled: rewards = labelled(batch, objective, weight)
    case .preferred: rewards = arePairs ? pairs(batch, objective, weight) : []
    case .conditioned, .scored: rewards = []
    }
    let outputs =
      traits.output == .score ? scores(batch, weight) : logProbabilities(batch, arePairs: arePairs, weight)
    return rewards + outputs
  }

  /// The loss of some groups on their own: Σ w·ℓ divided by their number, or by Σ w.
  ///
  /// A mean over tokens is over the tokens of these groups.
  static func loss(
    of batch: [ObjectiveGroup], objective: any Objective, normalization: RunConfiguration.Normalization
  ) -> Double {
    let amount = { (group: ObjectiveGroup) in normalization == .weight ? group.weight : 1 }
    let normalizer = batch.reduce(0) { $0 + amount($1) }
    let tokens = batch.reduce(0) { $0 + amount($1) * Double($1.completions[0].tokens) }
    let total = batch.reduce(0.0) { sum, group in
      var group = group
      group.examplesPerToken = normalizer / tokens
      return sum + group.weight * objective.loss(of: group).value
    }
    return total / normalizer
  }

  private static func pairs(_ batch: [ObjectiveGroup], _ objective: any Objective, _ weight: Weight) -> [Named] {
    func average(_ value: (_ chosen: Double, _ rejected: Double) -> Double) -> Double {
      mean(batch, weight) { value(objective.reward($0.completions[0]), objective.reward($0.completions[1])) }
    }
    return [
      ("rewards/chosen", average { chosen, _ in chosen }), ("rewards/rejected", average { _, rejected in rejected }),
      ("rewards/accuracies", average { $0 > $1 ? 1 : 0 }), ("rewards/margins", average { $0 - $1 }),
    ]
  }

  /// Means over each class; a class that is not in the batch has none, and without both there is no margin.
  private static func labelled(_ batch: [ObjectiveGroup], _ objective: any Objective, _ weight: Weight) -> [Named] {
    let reward = { (group: ObjectiveGroup) in objective.reward(group.completions[0]) }
    let (good, bad) = (batch.filter(\.isDesirable), batch.filter { !$0.isDesirable })
    var values: [Named] = []
    if !good.isEmpty { values.append(("rewards/chosen", mean(good, weight, reward))) }
    if !bad.isEmpty { values.append(("rewards/rejected", mean(bad, weight, reward))) }
    values.append(("rewards/accuracies", mean(batch, weight) { (reward($0) > 0) == $0.isDesirable ? 1 : 0 }))
    if !good.isEmpty, !bad.isEmpty {
      values.append(("rewards/margins", mean(good, weight, reward) - mean(bad, weight, reward)))
    }
    return values
  }

  private static func logProbabilities(_ batch: [ObjectiveGroup], arePairs: Bool, _ weight: Weight) -> [Named] {
    let policy = { (group: ObjectiveGroup) in group.completions[0].policy }
    guard !arePairs else {
      return [
        ("logps/chosen", mean(batch, weight, policy)),
        ("logps/rejected", mean(batch, weight) { $0.completions[1].policy }),
      ]
    }
    let (good, bad) = (batch.filter(\.isDesirable), batch.filter { !$0.isDesirable })
    return (good.isEmpty ? [] : [("logps/chosen", mean(good, weight, policy))])
      + (bad.isEmpty ? [] : [("logps/rejected", mean(bad, weight, policy))])
  }

  private static func scores(_ batch: [ObjectiveGroup], _ weight: Weight) -> [Named] {
    let scores = batch.flatMap { group in group.completions.map { (score: $0.policy, weight: weight(group)) } }
    let total = scores.reduce(0) { $0 + $1.weight }
    return [
      ("scores/mean", scores.reduce(0) { $0 + $1.weight * $1.score } / total),
      ("scores/min", scores.map(\.score).min() ?? 0), ("scores/max", scores.map(\.score).max() ?? 0),
    ]
  }

  /// Σ w·x / Σ w
  static func mean(_ batch: [ObjectiveGroup], _ weight: Weight, _ value: (ObjectiveGroup) -> Double) -> Double {
    let sums = batch.reduce(into: (0.0, 0.0)) { sums, group in
      sums.0 += weight(group) * value(group)
      sums.1 += weight(group)
    }
    return sums.0 / sums.1
  }
}
