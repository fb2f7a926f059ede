import Logging
import Objectives

/// Remarks on a run that help people to see what goes wrong: each is made once, in words, with what to do.
package final class Commentary {
  private let traits: ObjectiveTraits?
  private var made = Set<Topic>()
  private var first: StepMetrics?
  /// Exponential means of chosen log-probability and margin.
  private var trend: (chosen: Double, margin: Double)?
  private var falling = 0

  private enum Topic {
    case accuracy
    case reference
    case fall
    case noDesirable
    case noUndesirable
    case allEqual
    case mostlyEqual
  }

  private typealias Remark = (topic: Topic, text: String)

  /// - Parameters:
  ///   - traits: those of an objective on preferences; nil in policy optimisation.
  package init(_ traits: ObjectiveTraits?) { self.traits = traits }

  /// Looks at the numbers of a step, counted from 0, and tells people what is remarkable.
  func notice(_ metrics: StepMetrics, step: Int) {
    for remark in remarks(on: metrics, step: step) { log.warning("\(remark)") }
  }

  /// Looks at the rewards of a rollout.
  func notice(_ rollout: Rollout) {
    for remark in remarks(on: rollout) { log.warning("\(remark)") }
  }

  /// What is to be said of a step and has not been said before.
  package func remarks(on metrics: StepMetrics, step: Int) -> [String] {
    defer { first = first ?? metrics }
    return new((step == 0 ? start(metrics) : []) + fall(metrics) + classes(metrics))
  }

  /// What is to be said of a rollout: a group whose rewards are all equal teaches nothing.
  package func remarks(on rollout: Rollout) -> [String] {
    let large = rollout.groups.filter { $0.count > 1 }
    let equal = large.filter { group in group.allSatisfy { rollout.rewards[$0] == rollout.rewards[group.lowerBound] } }
    guard !equal.isEmpty else { return [] }
    guard equal.count < large.count else {
      return new([
        (
          .allEqual,
          "all samples of each prompt have the same reward: there is nothing to learn. Raise rollout.temperature or rollout.samples, or look at the reward"
        )
      ])
    }
    guard equal.count * 2 > large.count else { return [] }
    return new([(.mostlyEqual, "in more than half of the groups all rewards are equal: those teach nothing")])
  }

  private func new(_ remarks: [Remark]) -> [String] {
    remarks.filter { made.insert($0.topic).inserted }.map(\.text)
  }
}

// MARK: - What is remarkable

extension Commentary {
  /// Rewards that policy and reference have where they are the same model, but for rounding.
  private static let nearlyEqual = 1e-2

  private func start(_ metrics: StepMetrics) -> [Remark] {
    var remarks: [Remark] = []
    let needsReference = traits?.needsReference == true
    if let accuracy = metrics["rewards/accuracies"], accuracy == 0 || accuracy == 1, metrics.examples >= 8 {
      // A policy that is its reference prefers nothing, and what rounding says is no news.
      let isUntrained = needsReference && abs(metrics["rewards/margins"] ?? 0) < Self.nearlyEqual
      if !isUntrained {
        remarks.append(
          (
            .accuracy,
            "the first batch has an accuracy of \(accuracy): chosen and rejected may be swapped, told apart by a mere mark, or known to the model already"
          ))
      }
    }
    guard needsReference, traits?.output == .logProbability else { return remarks }
    let rewards = [metrics["rewards/chosen"], metrics["rewards/rejected"]].compactMap { $0 }
    guard rewards.contains(where: { abs($0) > Self.nearlyEqual }) else { return remarks }
    return remarks + [
      (
        .reference,
        "policy and reference differ before the first step: right if the reference is meant to be another model, otherwise check model= and reference="
      )
    ]
  }

  /// DPO and its kin can push both completions down while the margin grows.
  private func fall(_ metrics: StepMetrics) -> [Remark] {
    guard let chosen = metrics["logps/chosen"], let margin = metrics["rewards/margins"] else { return [] }
    let rate = 0.1
    guard let trend, let start = first?["logps/chosen"], let startMargin = first?["rewards/margins"] else {
      self.trend = (chosen, margin)
      return []
    }
    let next = (
      chosen: trend.chosen + rate * (chosen - trend.chosen), margin: trend.margin + rate * (margin - trend.margin)
    )
    falling = next.chosen < trend.chosen ? falling + 1 : 0
    self.trend = next
    guard falling >= 20, next.chosen < start - max(5, 0.05 * abs(start)), next.margin > startMargin else { return [] }
    return [
      (
        .fall,
        "the chosen completions grow less likely (log-probability \(start.brief) at first, about \(next.chosen.brief) now) while margins grow: usual for this kind of objective, harmful if samples degrade. objective.nll=1, apo_zero, a larger beta or a lower learning rate hold them"
      )
    ]
  }

  private func classes(_ metrics: StepMetrics) -> [Remark] {
    guard traits?.groupKind == .labelled, traits?.output == .logProbability else { return [] }
    let kinds: [(name: String, topic: Topic, words: String)] = [
      ("rewards/chosen", .noDesirable, "desirable"), ("rewards/rejected", .noUndesirable, "undesirable"),
    ]
    return kinds.filter { metrics[$0.name] == nil }.map {
      ($0.topic, "a batch without \($0.words) completions: use a larger batch.size or balance the data")
    }
  }
}
