import AlignmentCore
import PreferenceData
import Transformer

/// Groups cut into units, and which of them are this rank's.
package struct PlannedUnits {
  package let plan: UnitPlan
  package let ownUnits: [Int]
}

/// A batch ready to be computed.
package struct PlannedBatch {
  package let units: PlannedUnits
  let survey: (groups: any PromptGroups, units: PlannedUnits, examples: [Int], needsReference: Bool)?
  /// What the batch's losses and gradients are divided by, unless the step itself determines it.
  package let normalizer: Double
  package var examples: [Int] { units.plan.examples }
}

/// Cuts batches into units, which depend on the data only, and deals them to ranks by how fast they are.
struct BatchPlanner {
  private let unitTokens: Int
  private let cost: WorkCost
  /// Whether it is left to the moment who adds what: fast sums depend on it.
  private let isExact: Bool
  private let rank: Int

  init(_ configuration: RunConfiguration, model: LanguageModel, rank: Int) {
    unitTokens = configuration.batch.unitTokens
    cost = WorkCost(model.configuration, head: model.head)
    isExact = configuration.reduction == .exact
    self.rank = rank
  }

  /// - Parameters:
  ///   - rates: seconds that each rank takes for a unit of cost, all of them times any number.
  /// - Throws: ``Fault`` where the weights of the batch add up to next to nothing, or to more than sums can hold.
  func plan(_ examples: [Int], of task: any TrainingTask, rates: [Double]) throws -> PlannedBatch {
    let normalizer = task.normalizer(of: examples)
    guard (1e-18...1e18).contains(normalizer) else {
      throw Fault(
        .data, "the weights of a batch add up to \(normalizer)",
        hint: "use objective.normalization=count, a larger batch.size, or weights near 1")
    }
    let survey = task.survey(of: examples).map {
      (
        groups: $0.groups, units: units($0.indices, of: $0.groups, rates), examples: $0.examples,
        needsReference: $0.needsReference
      )
    }
    return PlannedBatch(units: units(examples, of: task.groups, rates), survey: survey, normalizer: normalizer)
  }

  private func units(_ indices: [Int], of groups: some PromptGroups, _ rates: [Double]) -> PlannedUnits {
    let plan = UnitPlan.balanced(indices, of: groups, tokens: unitTokens, cost: cost)
    let assignment = isExact ? plan.assignment(rates: rates) : plan.assignment(ranks: rates.count)
    return PlannedUnits(plan: plan, ownUnits: assignment[rank])
  }
}
