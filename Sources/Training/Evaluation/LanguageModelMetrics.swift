import AlignmentCore
import Objectives
import PreferenceData

#if canImport(Glibc)
  import Glibc
#endif

/// What is told of a language model on held-out preferences: the loss and the metrics of training, and likelihoods.
struct LanguageModelMetrics {
  /// Groups as the objective is to see them, and the objective when it has seen them all.
  private struct Prepared {
    var groups: [ObjectiveGroup]
    var objective: any Objective
  }

  private let plain: Prepared
  private let weighted: Prepared
  /// The groups with sums of log-probabilities, whatever the objective makes of their tokens.
  private let sums: [ObjectiveGroup]
  private let hasReference: Bool

  /// - Parameters:
  ///   - policy: the log-probabilities of the task's data under the model.
  ///   - surveyed: what the objective's survey found, if it needs one of other completions than the data's.
  init(_ task: PreferenceTask, policy: ReferenceTable, surveyed: [ObjectiveGroup]) {
    let groups = task.groups(policy: policy, reduction: task.loss.reduction)
    sums = task.groups(policy: policy, reduction: TokenReduction())
    hasReference = !task.data.reference.sums.isEmpty
    let prepared = { (groups: [ObjectiveGroup], surveyed: [ObjectiveGroup]) -> Prepared in
      var objective = task.loss.objective
      switch objective.traits.survey {
      case .none: break
      case .own: objective.prepare(for: groups)
      case .mismatched: objective.prepare(for: surveyed)
      }
      return Prepared(groups: groups, objective: objective)
    }
    weighted = prepared(groups, surveyed)
    plain = prepared(groups.map(\.withUnitWeight), surveyed.map(\.withUnitWeight))
  }

  /// Name and value of the metrics of some examples.
  func values(_ examples: [Int], isWeighted: Bool) -> [(name: String, value: Double)] {
    let prepared = isWeighted ? weighted : plain
    let groups = examples.map { prepared.groups[$0] }
    let loss = PreferenceMetrics.loss(of: groups, objective: prepared.objective, normalization: .weight)
    return [("loss", loss)] + PreferenceMetrics.values(groups, objective: prepared.objective, weight: \.weight)
      + likelihoods(examples.map { isWeighted ? sums[$0] : sums[$0].withUnitWeight })
  }

  /// Mean log-ratios to the reference, which estimate divergences on the data, and the perplexity of good completions.
  private func likelihoods(_ groups: [ObjectiveGroup]) -> [(name: String, value: Double)] {
    let (good, bad) = (groups.filter(\.isDesirable), groups.filter { !$0.isDesirable })
    var values: [(name: String, value: Double)] = []
    if hasReference {
      let mean = { (groups: [ObjectiveGroup], index: Int) in
        PreferenceMetrics.mean(groups, \.weight) { $0.completions[index].logRatio }
      }
      let arePairs = groups.first?.completions.count == 2
      if !good.isEmpty { values.append(("log_ratios/chosen", mean(good, 0))) }
      if arePairs || !bad.isEmpty { values.append(("log_ratios/rejected", arePairs ? mean(good, 1) : mean(bad, 0))) }
    }
    let likelihood = good.reduce(0) { $0 + $1.weight * $1.completions[0].policy }
    let tokens = good.reduce(0) { $0 + $1.weight * Double($1.completions[0].tokens) }
    if !good.isEmpty { values.append(("perplexity", exp(-likelihood / tokens))) }
    return values
  }
}

extension ObjectiveGroup {
  /// The same group with weight 1.
  var withUnitWeight: ObjectiveGroup {
    var group = self
    group.weight = 1
    return group
  }
}

extension PreferenceTask {
  /// The groups of all examples of the data as tables of log-probabilities give them; of pairs, both completions.
  ///
  /// - Parameters:
  ///   - policy: log-probabilities, or scores of a reward model; those of tokens if the reduction is not plain.
  func groups(policy: ReferenceTable, reduction: TokenReduction = TokenReduction()) -> [ObjectiveGroup] {
    (0..<data.dataset.count).map { index in
      let record = data.dataset.example(index)
      let lengths = (0..<record.completionCount).map { data.dataset.completionLength(index, $0) }
      var group = ObjectiveGroup()
      describe(&group, example: index, slot: index)
      group.completions.removeAll()
      for (offset, length) in lengths.enumerated() {
        let (policy, reference) = numbers(
          ofCompletion: record.firstCompletion + offset, policy, reduction, shorter: lengths.min() ?? 0)
        group.completions.append(ScoredCompletion(policy: policy, reference: reference, tokens: length))
      }
      return group
    }
  }

  private func numbers(
    ofCompletion completion: Int, _ policy: ReferenceTable, _ reduction: TokenReduction, shorter: Int
  ) -> (policy: Double, reference: Double) {
    let sums = data.reference.sums
    guard !reduction.isPlain else { return (policy.sums[completion], sums.isEmpty ? 0 : sums[completion]) }
    var result = (policy: 0.0, reference: 0.0)
    policy.withTokens(ofCompletion: completion) { tokens in
      data.reference.withTokens(ofCompletion: completion) { reference in
        result = reduction.reduce(policy: tokens, reference: reference, shorter: shorter)
      }
    }
    return result
  }
}
