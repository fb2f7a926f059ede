import AlignmentCore
import Collectives
import PreferenceData
import Transformer

/// What a model says of every completion of a dataset, computed by all ranks.
///
/// The units depend on the dataset and the token budget alone, so the numbers do not depend on the number of ranks.
package struct ScoringPass {
  private let model: LanguageModel
  /// The model's weights.
  let parameters: FloatBuffer
  private let dataset: TokenizedDataset
  private let groups: any PromptGroups
  private let unitTokens: Int
  private let communicator: any Communicator

  /// Works with a model that has room for every unit of the dataset.
  package init(
    _ model: LanguageModel, parameters: FloatBuffer, dataset: TokenizedDataset, unitTokens: Int,
    over communicator: any Communicator
  ) {
    self.model = model
    self.parameters = parameters
    self.dataset = dataset
    self.unitTokens = unitTokens
    self.communicator = communicator
    groups = model.head == .score ? ScoredGroups(dataset) : dataset
  }

  /// Loads a model into memory of its own, large enough for every unit of the dataset.
  ///
  /// - Parameters:
  ///   - mixesPrompts: whether there must be room for completions behind the prompts of other examples, too.
  init(
    _ source: ModelSource, dataset: TokenizedDataset, unitTokens: Int, mixesPrompts: Bool = false,
    over communicator: any Communicator
  ) throws {
    let capacity = UnitCapacity(
      unitTokens: unitTokens, datasets: [dataset], mixesPrompts: mixesPrompts,
      contextLength: source.configuration.contextLength)
    let (model, parameters) = try source.load(capacity: capacity, over: communicator)
    self.init(model, parameters: parameters, dataset: dataset, unitTokens: unitTokens, over: communicator)
  }

  /// The summed log-probability of each completion of the dataset, in nats, or its score, on every rank.
  package func completionOutputs() throws -> [Double] {
    var outputs = [Double](repeating: 0, count: dataset.totalCompletions)
    try forEachCompletion { completion, span, _ in outputs[completion] = model.output(of: span) }
    try outputs.withUnsafeMutableBufferPointer { try communicator.allReduce(.sum, $0) }
    return outputs
  }

  /// The summed log-probability of the completion of each of some other groups that are made of the dataset, on every rank.
  func outputs(of groups: MismatchedGroups) throws -> [Double] {
    var outputs = [Double](repeating: 0, count: groups.count)
    try forEachCompletion(of: groups, count: groups.count) { group, _, span, _ in
      outputs[group.slot] = model.output(of: span)
    }
    try outputs.withUnsafeMutableBufferPointer { try communicator.allReduce(.sum, $0) }
    return outputs
  }

  /// The log-probability of each token of each completion, in nats, on every rank.
  package func tokenLogProbabilities() throws -> [[Double]] {
    let starts = dataset.completionStarts
    let values = try tokenOutputs { model.tokenLogProbabilities[$0] }
    return starts.indices.dropLast().map { Array(values[starts[$0]..<starts[$0 + 1]]) }
  }

  /// Log-probability and value of each token of each completion, one completion after the other, on every rank.
  func tokenLogProbabilitiesAndValues() throws -> (logProbabilities: [Double], values: [Double]) {
    guard model.head == .languageModelWithValue else {
      return (try tokenOutputs { model.tokenLogProbabilities[$0] }, [])
    }
    var values = [Double](repeating: 0, count: dataset.completionStarts.last ?? 0)
    let logProbabilities = try tokenOutputs(
      { model.tokenLogProbabilities[$0] }, also: { token, row in values[token] = model.scalars[row] })
    try values.withUnsafeMutableBufferPointer { try communicator.allReduce(.sum, $0) }
    return (logProbabilities, values)
  }

  private func tokenOutputs(
    _ output: (_ row: Int) -> Double, also body: (_ token: Int, _ row: Int) -> Void = { _, _ in }
  ) throws -> [Double] {
    let starts = dataset.completionStarts
    var values = [Double](repeating: 0, count: starts.last ?? 0)
    try forEachCompletion { completion, span, _ in
      for (offset, row) in span.rows.enumerated() {
        values[starts[completion] + offset] = output(row)
        body(starts[completion] + offset, row)
      }
    }
    try values.withUnsafeMutableBufferPointer { try communicator.allReduce(.sum, $0) }
    return values
  }

  /// Runs this rank's units; exactly one rank visits each completion, when the model has computed the unit it is in.
  ///
  /// - Throws: ``Fault`` of kind `nonFinite` that names the row of the data.
  func forEachCompletion(_ body: (_ completion: Int, CompletionSpan, WorkUnit) -> Void) throws {
    try forEachCompletion(of: groups, count: dataset.count) { group, offset, span, unit in
      body(dataset.example(group.example).firstCompletion + offset, span, unit)
    }
  }

  private func forEachCompletion(
    of groups: some PromptGroups, count: Int, _ body: (GroupSpan, _ offset: Int, CompletionSpan, WorkUnit) -> Void
  ) throws {
    let plan = UnitPlan.sequential(
      Array(0..<count), of: groups, tokens: unitTokens, cost: WorkCost(model.configuration, head: model.head))
    var unit = WorkUnit()
    for index in plan.assignment(ranks: communicator.size)[communicator.rank] {
      plan.fill(&unit, with: index, from: groups)
      model.score(unit, parameters: parameters.view)
      for group in unit.groups {
        for (offset, completion) in group.completions.enumerated() {
          let span = unit.completions[completion]
          guard model.output(of: span).isFinite else { throw Self.notFinite(dataset.example(group.example)) }
          body(group, offset, span, unit)
        }
      }
      Watchdog.progress()
    }
  }

  private static func notFinite(_ record: ExampleRecord) -> Fault {
    Fault(
      .nonFinite, "what the model says of row \(record.rowIndex) of the data is not finite",
      hint: "the model's weights hold NaN, infinity or values too large for Float32")
  }
}

extension ModelSource {
  /// A model that only scores, with its weights, which the ranks of a host share.
  func load(capacity: UnitCapacity, over communicator: any Communicator) throws -> (LanguageModel, FloatBuffer) {
    let (model, weights) = try allocate(capacity: capacity, over: communicator)
    try weights.fill { try loadParameters(model.layout, into: $0) }
    return (model, weights.buffer)
  }

  /// The same without the weights.
  func allocate(capacity: UnitCapacity, over communicator: any Communicator) throws -> (LanguageModel, FrozenWeights) {
    let model = try LanguageModel(configuration, head: head, capacity: capacity, trained: nil)
    return (
      model,
      try FrozenWeights(count: model.layout.count, purpose: "weights that only score", over: communicator)
    )
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

  /// Where the tokens of each completion begin among those of all completions, and their number at the end.
  var completionStarts: [Int] { completionLengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) } }
}
