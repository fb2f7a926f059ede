import AlignmentCore
import Collectives
import Objectives
import PreferenceData
import Transformer

/// A dataset and what an objective needs to know about it beside its tokens.
package struct ObjectiveData {
  package let dataset: TokenizedDataset
  /// Log-probability of each completion under the reference; empty where the objective needs none.
  package let reference: [Double]

  package init(dataset: TokenizedDataset, reference: [Double]) {
    self.dataset = dataset
    self.reference = reference
  }
}

/// The results of a list of examples: one row for each, filled by the rank that computed it and then shared.
///
/// A row is 0 on every rank but one, so adding the tables of all ranks is exact, and whatever is derived from the sum is
/// the same on any number of ranks.
struct ObjectiveTable {
  /// Weighted loss, then the policy's log-probability of each completion.
  static let columns = 3

  private(set) var slots = 0
  private var values: [Double] = []
  /// Ranks that were asked to stop, known after ``share(over:isStopping:)``.
  private(set) var stopRequests = 0.0

  /// Begins a list of `slots` examples; allocates only if it is longer than any before.
  mutating func begin(slots: Int) {
    self.slots = slots
    values.removeAll(keepingCapacity: true)
    for _ in 0...slots * Self.columns { values.append(0) }
  }

  mutating func set(slot: Int, loss: Double, completions: [CompletionLogProbability]) {
    values[slot * Self.columns] = loss
    for (index, completion) in completions.enumerated() { values[slot * Self.columns + 1 + index] = completion.policy }
  }

  func loss(_ slot: Int) -> Double { values[slot * Self.columns] }

  func policy(_ slot: Int, completion: Int) -> Double { values[slot * Self.columns + 1 + completion] }

  /// Adds the tables of all ranks; the wish to stop rides along.
  mutating func share(over communicator: any Communicator, isStopping: Bool = false) throws {
    values[slots * Self.columns] = isStopping ? 1 : 0
    try values.withUnsafeMutableBufferPointer { try communicator.allReduce(.sum, $0) }
    stopRequests = values[slots * Self.columns]
  }
}

/// Turns a group's log-probabilities into its loss and derivatives.
struct GroupEvaluator {
  let objective: any Objective
  private var group = ObjectiveGroup()
  private var derivatives: [Double] = []

  init(_ objective: any Objective) { self.objective = objective }

  /// Evaluates one group of a unit that the model has just scored and records it in the table.
  ///
  /// - Parameters:
  ///   - writesDerivatives: whether to fill the model's token derivatives, weights included.
  /// - Throws: ``Fault`` of kind `nonFinite` that names the row of the data file.
  mutating func evaluate(
    _ span: GroupSpan, of unit: WorkUnit, model: LanguageModel, data: ObjectiveData, writesDerivatives: Bool,
    into table: inout ObjectiveTable
  ) throws {
    let record = data.dataset.example(span.example)
    collect(span, unit, model, data, record)
    let loss = record.weight * objective.evaluate(group, derivatives: &derivatives)
    guard loss.isFinite else {
      throw Fault(
        .nonFinite, "the loss of example \(span.example) (row \(record.rowIndex) of the data) is \(loss)",
        hint: "lower the learning rate or look at that row; the weights are those before this step")
    }
    table.set(slot: span.slot, loss: loss, completions: group.completions)
    guard writesDerivatives else { return }
    for (index, completion) in span.completions.enumerated() {
      let derivative = Float(record.weight * derivatives[index])
      for row in unit.completions[completion].rows { model.tokenDerivatives.base[row] = derivative }
    }
  }

  private mutating func collect(
    _ span: GroupSpan, _ unit: WorkUnit, _ model: LanguageModel, _ data: ObjectiveData, _ record: ExampleRecord
  ) {
    group.completions.removeAll(keepingCapacity: true)
    derivatives.removeAll(keepingCapacity: true)
    group.softLabel = record.q
    group.margin = record.margin
    for (offset, index) in span.completions.enumerated() {
      let completion = unit.completions[index]
      group.completions.append(
        CompletionLogProbability(
          policy: model.logProbability(of: completion),
          reference: data.reference.isEmpty ? 0 : data.reference[record.firstCompletion + offset],
          tokens: completion.tokenCount))
      derivatives.append(0)
    }
  }
}

/// The numbers that a step or an evaluation reports, derived from a shared table.
struct ObjectiveMetrics {
  let loss: Double
  /// Name and value in the order of the log, under TRL's names.
  let values: [(name: String, value: Double)]

  init(
    _ table: ObjectiveTable, examples: [Int], data: ObjectiveData, objective: any Objective, normalizer: Double
  ) {
    loss = (0..<table.slots).reduce(0) { $0 + table.loss($1) } / normalizer
    var rows: [PairRow] = []
    var logps = 0.0
    for slot in 0..<table.slots {
      let record = data.dataset.example(examples[slot])
      logps += table.policy(slot, completion: 0)
      guard type(of: objective).groupKind == .pair else { continue }
      rows.append(PairRow(table, slot, record, data, objective))
    }
    let mean = { (value: (PairRow) -> Double) in rows.reduce(0) { $0 + value($1) } / Double(rows.count) }
    guard !rows.isEmpty else {
      values = [("logps/chosen", logps / Double(table.slots))]
      return
    }
    values = [
      ("rewards/chosen", mean(\.chosenReward)), ("rewards/rejected", mean(\.rejectedReward)),
      ("rewards/accuracies", mean { $0.chosenReward > $0.rejectedReward ? 1 : 0 }),
      ("rewards/margins", mean { $0.chosenReward - $0.rejectedReward }),
      ("logps/chosen", mean(\.chosen)), ("logps/rejected", mean(\.rejected)),
    ]
  }
}

/// One pair's log-probabilities and implicit rewards.
private struct PairRow {
  let chosen: Double
  let rejected: Double
  let chosenReward: Double
  let rejectedReward: Double

  init(_ table: ObjectiveTable, _ slot: Int, _ record: ExampleRecord, _ data: ObjectiveData, _ objective: any Objective)
  {
    let completions = (0..<2).map { index in
      CompletionLogProbability(
        policy: table.policy(slot, completion: index),
        reference: data.reference.isEmpty ? 0 : data.reference[record.firstCompletion + index],
        tokens: data.dataset.completion(index, of: record).length)
    }
    chosen = completions[0].policy
    rejected = completions[1].policy
    chosenReward = objective.reward(completions[0]) ?? chosen
    rejectedReward = objective.reward(completions[1]) ?? rejected
  }
}

extension ObjectiveData {
  /// What the losses of a list of examples are divided by; known before anything is computed.
  func normalizer(
    of examples: [Int], unit: NormalizationUnit, by normalization: RunConfiguration.Normalization
  ) -> Double {
    examples.reduce(0) { sum, index in
      let record = dataset.example(index)
      let amount = unit == .examples ? 1 : Double(dataset.completion(0, of: record).length)
      return sum + amount * (normalization == .weight ? record.weight : 1)
    }
  }
}
