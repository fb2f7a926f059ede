import AlignmentCore
import Objectives
import PreferenceData
import Transformer

/// What a policy learns from: the samples of a rollout, and the numbers that belong to their tokens.
package struct Experience {
  package let dataset: TokenizedDataset
  package let rollout: Rollout
  package let advantages: Advantages
  /// Whether the policy of the rollout is the one that is updated, so that its log-probabilities are those of the step.
  package let isOnPolicy: Bool
  /// Most tokens of a sample.
  package let maximumLength: Int

  package init(
    dataset: TokenizedDataset, rollout: Rollout, advantages: Advantages, isOnPolicy: Bool, maximumLength: Int
  ) {
    self.dataset = dataset
    self.rollout = rollout
    self.advantages = advantages
    self.isOnPolicy = isOnPolicy
    self.maximumLength = maximumLength
  }
}

/// Improving a policy on the samples of a rollout.
package final class PolicyTask: TrainingTask {
  private enum Column: Int, CaseIterable {
    case loss
    case valueLoss
    case clipped
    case movement
    case divergence
    case tokens
  }

  private let objective: any PolicyObjective
  private let experience: Experience
  private let old: NumberColumn
  private let reference: NumberColumn
  private let oldValues: NumberColumn
  private let advantages: NumberColumn
  private let returns: NumberColumn
  private var samplesPerToken = 1.0

  package init(_ objective: any PolicyObjective, _ experience: Experience) {
    self.objective = objective
    self.experience = experience
    old = NumberColumn(experience.isOnPolicy ? [] : experience.rollout.old)
    reference = NumberColumn(experience.rollout.reference)
    oldValues = NumberColumn(experience.rollout.values)
    advantages = NumberColumn(experience.advantages.advantages)
    returns = NumberColumn(experience.advantages.returns)
  }

  package var groups: any PromptGroups { experience.dataset }
  package var columns: Int { Column.allCases.count }
  package var needsLiveReference: Bool { false }

  package var magnitude: Double { 1 }

  /// The number of samples.
  package func normalizer(of examples: [Int]) -> Double {
    examples.reduce(0) { $0 + Double(experience.dataset.example($1).completionCount) }
  }

  package func begin(_ examples: [Int], normalizer: Double) {
    let tokens = examples.reduce(0) {
      let record = experience.dataset.example($1)
      return $0 + record.tokenCount - record.promptLength
    }
    samplesPerToken = normalizer / Double(tokens)
  }

  package func survey(of examples: [Int]) -> BatchSurvey? { nil }
  package func recordSurvey(_ group: UnitGroup, into table: inout StepTable) {}
  package func finishSurvey(_ table: StepTable, of examples: [Int]) {}
  package func observe(_ table: StepTable) {}

  package func evaluate(_ group: UnitGroup, writesDerivatives: Bool, into table: inout StepTable) throws {
    let record = experience.dataset.example(group.span.example)
    for (offset, index) in group.span.completions.enumerated() {
      let span = group.unit.completions[index]
      let result = evaluate(
        sample: record.firstCompletion + offset, span, group.model, writesDerivatives: writesDerivatives)
      guard result.loss.isFinite else { throw notFinite(group.span.example, result.loss) }
      let row = group.span.slot
      table[row, Column.loss.rawValue] += result.loss
      table[row, Column.valueLoss.rawValue] += result.valueLoss
      table[row, Column.clipped.rawValue] += result.clipped
      table[row, Column.movement.rawValue] += result.movement
      table[row, Column.divergence.rawValue] += result.divergence
      table[row, Column.tokens.rawValue] += Double(span.tokenCount)
    }
  }

  private func notFinite(_ example: Int, _ loss: Double) -> Fault {
    Fault(
      .nonFinite, "the loss of a sample of prompt \(example) of the rollout is \(loss)",
      hint: "lower the learning rate; the weights are those before this step")
  }

  private func evaluate(
    sample: Int, _ span: CompletionSpan, _ model: LanguageModel, writesDerivatives: Bool
  ) -> PolicyLoss {
    let hasValues = model.head == .languageModelWithValue
    let tokens = experience.rollout.tokens[sample]
    let policy = UnsafeBufferPointer(rebasing: model.tokenLogProbabilities[span.rows])
    let terms = SampleTerms(
      policy: policy, old: experience.isOnPolicy ? policy : old[tokens], reference: reference[tokens],
      advantages: advantages[tokens],
      values: hasValues ? UnsafeBufferPointer(rebasing: model.scalars[span.rows]) : NumberColumn.nothing,
      oldValues: oldValues[tokens], returns: returns[tokens], samplesPerToken: samplesPerToken,
      maximumLength: experience.maximumLength)
    guard writesDerivatives else { return objective.evaluate(terms, scale: 1, nil) }
    let view = { (view: FloatView) in
      UnsafeMutableBufferPointer(start: view[span.rows].base, count: span.rows.count)
    }
    let derivatives = SampleDerivatives(
      policy: view(model.tokenDerivatives),
      values: hasValues ? view(model.scalarDerivatives) : UnsafeMutableBufferPointer(start: nil, count: 0))
    return objective.evaluate(terms, scale: 1, derivatives)
  }

  /// What a step has shown.
  package func metrics(_ table: StepTable, _ batch: PlannedBatch) -> StepMetrics {
    let sum = { (column: Column) in table.sum(ofColumn: column.rawValue) }
    let (samples, tokens) = (batch.normalizer, sum(.tokens))
    var values = [("approx_kl", sum(.movement) / tokens), ("clip_ratio", sum(.clipped) / tokens)]
    if objective.needsReference { values.insert(("kl", sum(.divergence) / samples), at: 0) }
    if objective.needsValues { values.append(("value_loss", sum(.valueLoss) / samples)) }
    let prompts = batch.examples.reduce(0) { $0 + experience.dataset.example($1).promptLength }
    return StepMetrics(
      loss: sum(.loss) / samples, values: values, examples: batch.examples.count, tokens: prompts + Int(tokens),
      highlights: [])
  }
}

/// Numbers of tokens that can be looked at piece by piece without being copied.
private final class NumberColumn {
  static var nothing: UnsafeBufferPointer<Double> { UnsafeBufferPointer(start: nil, count: 0) }
  private let storage: UnsafeMutableBufferPointer<Double>

  init(_ values: [Double]) {
    storage = .allocate(capacity: values.count)
    _ = storage.initialize(from: values)
  }

  deinit { storage.deallocate() }

  /// Some of the numbers; nothing of an empty column. Valid as long as the column lives.
  subscript(range: Range<Int>) -> UnsafeBufferPointer<Double> {
    storage.isEmpty ? Self.nothing : UnsafeBufferPointer(rebasing: storage[range])
  }
}
