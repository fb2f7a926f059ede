import Objectives

/// The numbers that a step or an evaluation on preferences reports, under TRL's names.
enum PreferenceMetrics {
  /// Name and value in the order of the log.
  ///
  /// - Parameters:
  ///   - batch: the groups with what the model said of them.
  static func values(_ batch: [ObjectiveGroup], objective: any Objective) -> [(name: String, value: Double)] {
    let traits = objective.traits
    let rewards: [(name: String, value: Double)]
    switch traits.groupKind {
    case .pair: rewards = pairs(batch, objective)
    case .labelled: rewards = labelled(batch, objective)
    case .preferred, .conditioned, .scored: rewards = []
    }
    let outputs = traits.output == .score ? scores(batch) : logProbabilities(batch, traits.groupKind)
    return rewards + outputs + objective.metrics
  }

  private static func pairs(_ batch: [ObjectiveGroup], _ objective: any Objective) -> [(name: String, value: Double)] {
    let rewards = batch.map { $0.completions.map(objective.reward) }
    return [
      ("rewards/chosen", mean(rewards) { $0[0] }), ("rewards/rejected", mean(rewards) { $0[1] }),
      ("rewards/accuracies", mean(rewards) { $0[0] > $0[1] ? 1 : 0 }),
      ("rewards/margins", mean(rewards) { $0[0] - $0[1] }),
    ]
  }

  /// Means over each class; a class that is not in the batch has none, and without both there is no margin.
  private static func labelled(_ batch: [ObjectiveGroup], _ objective: any Objective) -> [(name: String, value: Double)]
  {
    let reward = { (group: ObjectiveGroup) in objective.reward(group.completions[0]) }
    let (good, bad) = (batch.filter(\.isDesirable), batch.filter { !$0.isDesirable })
    var values: [(name: String, value: Double)] = []
    if !good.isEmpty { values.append(("rewards/chosen", mean(good, reward))) }
    if !bad.isEmpty { values.append(("rewards/rejected", mean(bad, reward))) }
    values.append(("rewards/accuracies", mean(batch) { (reward($0) > 0) == $0.isDesirable ? 1 : 0 }))
    if !good.isEmpty, !bad.isEmpty { values.append(("rewards/margins", mean(good, reward) - mean(bad, reward))) }
    return values
  }

  private static func logProbabilities(_ batch: [ObjectiveGroup], _ kind: GroupKind) -> [(name: String, value: Double)]
  {
    let policy = { (group: ObjectiveGroup) in group.completions[0].policy }
    guard kind != .pair else {
      return [("logps/chosen", mean(batch, policy)), ("logps/rejected", mean(batch) { $0.completions[1].policy })]
    }
    let (good, bad) = (batch.filter(\.isDesirable), batch.filter { !$0.isDesirable })
    return (good.isEmpty ? [] : [("logps/chosen", mean(good, policy))])
      + (bad.isEmpty ? [] : [("logps/rejected", mean(bad, policy))])
  }

  private static func scores(_ batch: [ObjectiveGroup]) -> [(name: String, value: Double)] {
    let scores = batch.flatMap { $0.completions.map(\.policy) }
    return [
      ("scores/mean", mean(scores) { $0 }), ("scores/min", scores.min() ?? 0), ("scores/max", scores.max() ?? 0),
    ]
  }

  private static func mean<Element>(_ elements: [Element], _ value: (Element) -> Double) -> Double {
    elements.reduce(0) { $0 + value($1) } / Double(elements.count)
  }
}
