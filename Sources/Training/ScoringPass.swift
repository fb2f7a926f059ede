import AlignmentCore
import Collectives
import PreferenceData
import Transformer

/// What a model says of every completion of a dataset, computed by all ranks.
///
/// The units depend on the dataset and the token budget alone, so the numbers do not depend on the number of ranks.
package struct ScoringPass {
  /// The model's weights, which live as long as the pass.
  let parameters: FloatBuffer
  private let model: LanguageModel
  private let groups: any PromptGroups
  private let dataset: TokenizedDataset
  private let unitTokens: Int
  private let communicator: any Communicator

  /// Loads the model into memory of its own, large enough for every unit of the dataset.
  init(
    _ source: ModelSource, dataset: TokenizedDataset, unitTokens: Int, over communicator: any Communicator
  ) throws {
    self.dataset = dataset
    self.unitTokens = unitTokens
    self.communicator = communicator
    let capacity = UnitCapacity(unitTokens: unitTokens, datasets: [dataset])
    model = try LanguageModel(source.configuration, head: source.head, capacity: capacity, trained: nil)
    groups = source.head == .score ? ScoredGroups(dataset) : dataset
    parameters = try FloatBuffer(count: model.layout.count, purpose: "parameters")
    try source.loadParameters(model.layout, into: parameters.view)
  }

  /// The summed log-probability of each completion of the dataset, in nats, or its score, on every rank.
  package func completionOutputs() throws -> [Double] {
    var outputs = [Double](repeating: 0, count: dataset.totalCompletions)
    try forEachCompletion { completion, span in outputs[completion] = model.output(of: span) }
    try outputs.withUnsafeMutableBufferPointer { try communicator.allReduce(.sum, $0) }
    return outputs
  }

  /// The log-probability of each token of each completion, in nats, on every rank.
  package func tokenLogProbabilities() throws -> [[Double]] {
    let lengths = dataset.completionLengths
    let starts = lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
    var values = [Double](repeating: 0, count: starts[lengths.count])
    try forEachCompletion { completion, span in
      for (offset, row) in span.rows.enumerated() {
        values[starts[completion] + offset] = model.tokenLogProbabilities[row]
      }
    }
    try values.withUnsafeMutableBufferPointer { try communicator.allReduce(.sum, $0) }
    return lengths.indices.map { Array(values[starts[$0]..<starts[$0 + 1]]) }
  }

  /// Runs this rank's units; exactly one rank visits each completion.
  ///
  /// - Throws: ``Fault`` of kind `nonFinite` that names the row of the data.
  private func forEachCompletion(_ body: (_ completion: Int, CompletionSpan) -> Void) throws {
    let plan = Self.plan(groups, count: dataset.count, tokens: unitTokens, model)
    var unit = WorkUnit()
    for index in plan.assignment(ranks: communicator.size)[communicator.rank] {
      plan.fill(&unit, with: index, from: groups)
      model.score(unit, parameters: parameters.view)
      for group in unit.groups {
        let record = dataset.example(group.example)
        for (offset, completion) in group.completions.enumerated() {
          let span = unit.completions[completion]
          guard model.output(of: span).isFinite else { throw Self.notFinite(record) }
          body(record.firstCompletion + offset, span)
        }
      }
      Watchdog.progress()
    }
  }
}

extension ScoringPass {
  private static func plan(_ groups: some PromptGroups, count: Int, tokens: Int, _ model: LanguageModel) -> UnitPlan {
    UnitPlan.sequential(
      Array(0..<count), of: groups, tokens: tokens, cost: WorkCost(model.configuration, head: model.head))
  }

  private static func notFinite(_ record: ExampleRecord) -> Fault {
    Fault(
      .nonFinite, "what the model says of row \(record.rowIndex) of the data is not finite",
      hint: "the model's weights hold NaN, infinity or values too large for Float32")
  }
}

extension TokenizedDataset {
  /// Tokens of each completion, in the order of the dataset.
  var completionLengths: [Int] {
    (0..<count).flatMap { index in
      let record = example(index)
      return (0..<record.completionCount).map { completion($0, of: record).length }
    }
  }
}
