import AlignmentCore
import Collectives
import Objectives
import Optimization
import PreferenceData
import Transformer

/// One rank's part of the training of a policy: its arenas and the optimiser step.
package final class Trainer {
  /// A batch cut into units, and which of them are this rank's.
  package struct PlannedBatch {
    package let plan: UnitPlan
    package let ownUnits: [Int]
    /// What the batch's losses and gradients are divided by.
    package let normalizer: Double
  }

  /// What a step reports, the same on every rank.
  package struct StepResult {
    package var gradientNorm: Double
    package var learningRate: Double
    /// Whether any rank was asked to stop.
    package var isStopping: Bool
  }

  package let model: LanguageModel
  package let parameters: FloatBuffer
  let optimizer: AdamW
  let sharding: Sharding
  private let configuration: RunConfiguration
  private let communicator: any Communicator
  private let schedule: LearningRateSchedule
  private let gradients: FloatBuffer
  private let reduction: GradientReduction
  private var evaluator: GroupEvaluator
  private var unit = WorkUnit()
  private var squares: [Double]
  private(set) var table = ObjectiveTable()

  package init(
    _ configuration: RunConfiguration, model: LanguageModel, schedule: LearningRateSchedule,
    over communicator: any Communicator
  ) throws {
    self.configuration = configuration
    self.model = model
    self.schedule = schedule
    self.communicator = communicator
    let layout = model.layout
    sharding = Sharding(count: layout.count, ranks: communicator.size)
    parameters = try FloatBuffer(count: layout.count, purpose: "parameters")
    gradients = try FloatBuffer(count: layout.count, purpose: "gradients")
    reduction = try GradientReduction(configuration.reduction, sharding, over: communicator)
    let decaying = layout.tensors.filter { configuration.decay == .all || $0.isMatrix }.map(\.range)
    optimizer = try AdamW(configuration.optimizer, shard: sharding.range(ofRank: communicator.rank), decaying: decaying)
    evaluator = GroupEvaluator(configuration.objective)
    squares = Array(repeating: 0, count: sharding.blockCount)
    unit.reserve(tokens: model.capacity.tokens, groups: model.capacity.tokens, completions: model.capacity.predictions)
  }

  /// Cuts a batch into units and deals them out; depends on the data and the number of ranks only.
  package func plan(_ examples: [Int], of data: ObjectiveData) throws -> PlannedBatch {
    let plan = UnitPlan.balanced(
      examples, of: data.dataset, tokens: configuration.batch.unitTokens, cost: WorkCost(model.configuration))
    let unit = type(of: configuration.objective).normalizationUnit
    let normalizer = data.normalizer(of: examples, unit: unit, by: configuration.normalization)
    guard (1e-18...1e18).contains(normalizer) else {
      throw Fault(
        .data, "the weights of a batch add up to \(normalizer)",
        hint: "use objective.normalization=count, a larger batch.size, or weights near 1")
    }
    return PlannedBatch(
      plan: plan, ownUnits: plan.assignment(ranks: communicator.size)[communicator.rank], normalizer: normalizer)
  }

  /// One optimiser step: gradients of the own units, their exact sum over all ranks, clipping, update of the own shard,
  /// exchange of parameters. Allocates nothing.
  ///
  /// - Parameters:
  ///   - step: counted from 0.
  /// - Throws: ``Fault`` of kind `nonFinite`, before any parameter has changed.
  package func step(_ step: Int, _ batch: PlannedBatch, of data: ObjectiveData) throws -> StepResult {
    table.begin(slots: batch.plan.examples.count)
    reduction.begin(normalizer: batch.normalizer, terms: batch.plan.units.count)
    for index in batch.ownUnits { try accumulate(index, of: batch, data) }
    try table.share(over: communicator, isStopping: StopRequest.isPending)
    try reduction.finish(normalizer: batch.normalizer, into: gradients.view)
    let norm = try gradientNorm()
    guard norm.isFinite else {
      throw Fault(.nonFinite, "the norm of the summed gradient is \(norm)", hint: "lower the learning rate")
    }
    let factor = schedule.factor(atStep: step)
    optimizer.update(
      parameters: parameters.view, gradients: gradients.view, step: step, rateFactor: factor,
      gradientScale: GradientClipping.scale(norm: norm, maximum: configuration.maxGradientNorm))
    try Ring.allGather(parameters.view.base, sharding, over: communicator)
    return StepResult(
      gradientNorm: norm, learningRate: configuration.optimizer.learningRate * factor,
      isStopping: table.stopRequests > 0)
  }

  /// Scores the own units of a list of examples without changing anything; the table is shared afterwards.
  func evaluate(_ examples: [Int], of data: ObjectiveData) throws {
    let batch = try plan(examples, of: data)
    table.begin(slots: examples.count)
    for index in batch.ownUnits {
      batch.plan.fill(&unit, with: index, from: data.dataset)
      model.score(unit, parameters: parameters.view)
      for group in unit.groups {
        try evaluator.evaluate(group, of: unit, model: model, data: data, writesDerivatives: false, into: &table)
      }
      Watchdog.progress()
    }
    try table.share(over: communicator)
  }

  private func accumulate(_ index: Int, of batch: PlannedBatch, _ data: ObjectiveData) throws {
    batch.plan.fill(&unit, with: index, from: data.dataset)
    var failure: (any Error)?
    model.differentiate(unit, parameters: parameters.view, gradients: gradients.view) { group in
      do {
        try evaluator.evaluate(group, of: unit, model: model, data: data, writesDerivatives: true, into: &table)
      } catch { failure = error }
    }
    if let failure { throw failure }
    guard reduction.add(gradients.view) else { throw badGradient() }
    Watchdog.progress()
  }

  private func gradientNorm() throws -> Double {
    try squares.withUnsafeMutableBufferPointer { table in
      GradientClipping.sumSquares(of: gradients.view, sharding, rank: communicator.rank, into: table)
      try communicator.allReduce(.sum, table)
    }
    return squares.reduce(0, +).squareRoot()
  }

  /// Names the tensor whose gradient cannot be summed.
  private func badGradient() -> Fault {
    let culprit = model.layout.tensors.first { tensor in
      let view = gradients.view[tensor.range]
      return (0..<view.count).contains { !(abs(Double(view.base[$0])) <= reduction.largestTerm) }
    }
    let rows = unit.groups.map { String($0.example) }.joined(separator: ", ")
    return Fault(
      .nonFinite,
      "the gradient of \(culprit?.name ?? "a tensor") is not finite or too large for exact sums (examples \(rows))",
      hint: "lower the learning rate, or use reduction=fast if large gradients are expected")
  }
}
