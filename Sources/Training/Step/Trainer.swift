import AlignmentCore
import Collectives
import Kernels
import Optimization
import PreferenceData
import Transformer

/// One rank's part of the training of a model: its arenas and the optimiser step.
package final class Trainer {
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

  /// What a step reports, the same on every rank.
  package struct StepResult {
    package var gradientNorm: Double
    package var learningRate: Double
    /// Whether any rank was asked to stop.
    package var isStopping: Bool
  }

  /// Parameter groups of the optimiser: the decoder with its vocabulary, and a head that gives scores or values.
  private static let backboneGroup = 0
  private static let headGroup = 1

  package let model: LanguageModel
  package let weights: ModelWeights
  let optimizer: any Optimizer
  let sharding: Sharding
  private let configuration: RunConfiguration
  private let communicator: any Communicator
  private let schedule: LearningRateSchedule
  private let gradients: FloatBuffer
  private let reduction: GradientReduction
  private var unit = WorkUnit()
  private let norms: GradientNorms
  private var squares: [Double]
  private var referenceRows: [Double]
  private var groups: [GroupStep]
  package private(set) var table = StepTable()

  /// - Parameters:
  ///   - needsReference: whether tasks ask for log-probabilities under the reference.
  package init(
    _ configuration: RunConfiguration, model: LanguageModel, needsReference: Bool = false,
    schedule: LearningRateSchedule, over communicator: any Communicator
  ) throws {
    self.configuration = configuration
    self.model = model
    self.schedule = schedule
    self.communicator = communicator
    let trained = model.trained
    sharding = Sharding(count: trained.count, ranks: communicator.size)
    // Without adapters the model is the reference already.
    let isBase = !trained.isComplete && configuration.reference == nil
    weights = try ModelWeights(model, needsReference: needsReference && !isBase)
    gradients = try FloatBuffer(count: trained.count, purpose: "gradients")
    reduction = try GradientReduction(configuration.reduction, sharding, over: communicator)
    let runs = trained.tensors.map {
      ParameterRun(
        range: $0.range, group: $0.belongsToScalarHead ? Self.headGroup : Self.backboneGroup,
        decays: configuration.optimizer.decay == .all || $0.isMatrix)
    }
    optimizer = try configuration.optimizer.type.init(
      options: configuration.optimizer.options, shard: sharding.range(ofRank: communicator.rank), runs: runs,
      tensors: trained.tensors.map { TensorShape(range: $0.range, shape: $0.shape) })
    norms = GradientNorms(sharding, runs: runs)
    squares = Array(repeating: 0, count: norms.tableCount)
    referenceRows = Array(repeating: 0, count: needsReference ? model.capacity.predictions : 0)
    let (backbone, head) = (configuration.optimizer.weightDecay, configuration.optimizer.head.weightDecay)
    groups = [backbone, head].map { GroupStep(learningRate: 0, weightDecay: $0, gradientScale: 1) }
    unit.reserve(tokens: model.capacity.tokens, groups: model.capacity.tokens, completions: model.capacity.predictions)
  }
}

// MARK: - Planning

extension Trainer {
  /// Cuts a batch into units and deals them out; depends on the data and the number of ranks only.
  package func plan(_ examples: [Int], of task: any TrainingTask) throws -> PlannedBatch {
    let normalizer = task.normalizer(of: examples)
    guard (1e-18...1e18).contains(normalizer) else {
      throw Fault(
        .data, "the weights of a batch add up to \(normalizer)",
        hint: "use objective.normalization=count, a larger batch.size, or weights near 1")
    }
    let survey = task.survey(of: examples).map {
      (
        groups: $0.groups, units: planned($0.indices, of: $0.groups), examples: $0.examples,
        needsReference: $0.needsReference
      )
    }
    return PlannedBatch(units: planned(examples, of: task.groups), survey: survey, normalizer: normalizer)
  }

  private func planned(_ indices: [Int], of groups: some PromptGroups) -> PlannedUnits {
    let plan = UnitPlan.balanced(
      indices, of: groups, tokens: configuration.batch.unitTokens,
      cost: WorkCost(model.configuration, head: model.head))
    return PlannedUnits(plan: plan, ownUnits: plan.assignment(ranks: communicator.size)[communicator.rank])
  }
}

// MARK: - The step

extension Trainer {
  /// One optimiser step: gradients of the own units, their exact sum over all ranks, clipping, update of the own shard,
  /// exchange of parameters. Allocates nothing.
  ///
  /// - Parameters:
  ///   - step: counted from 0.
  /// - Throws: ``Fault`` of kind `nonFinite`, before any parameter has changed.
  package func step(_ step: Int, _ batch: PlannedBatch, of task: any TrainingTask) throws -> StepResult {
    try begin(batch, of: task)
    reduction.begin(scale: batch.normalizer * task.magnitude, terms: batch.units.plan.units.count)
    for index in batch.units.ownUnits { try accumulate(index, of: batch, task) }
    try table.share(over: communicator, isStopping: StopRequest.isPending)
    try reduction.finish(normalizer: normalizer(of: batch, task), into: gradients.view)
    let norm = try gradientNorm()
    guard norm.isFinite else {
      throw Fault(.nonFinite, "the norm of the summed gradient is \(norm)", hint: "lower the learning rate")
    }
    let factor = schedule.factor(atStep: step)
    prepareGroups(norm: norm, factor: factor)
    synchronizeReference(after: step)
    if type(of: optimizer).needsWholeGradients {
      try Ring.allGather(gradients.view.base, sharding, over: communicator)
    }
    optimizer.update(parameters: weights.trained.view, gradients: gradients.view, step: step, groups: groups)
    try Ring.allGather(weights.trained.view.base, sharding, over: communicator)
    weights.refresh()
    task.observe(table)
    return StepResult(
      gradientNorm: norm, learningRate: groups[0].learningRate, isStopping: table.stopRequests > 0)
  }

  /// Scores the own units of a list of examples without changing anything; the table is shared afterwards.
  package func evaluate(_ examples: [Int], of task: any TrainingTask) throws {
    let batch = try plan(examples, of: task)
    try begin(batch, of: task)
    for index in batch.units.ownUnits {
      batch.units.plan.fill(&unit, with: index, from: task.groups)
      if task.needsLiveReference { scoreReference() }
      model.score(unit, parameters: weights.model.view)
      try forEachGroup { try task.evaluate($0, writesDerivatives: false, into: &table) }
      Watchdog.progress()
    }
    try table.share(over: communicator)
  }

  /// Surveys the batch, if its task asks for that, and clears the table.
  private func begin(_ batch: PlannedBatch, of task: any TrainingTask) throws {
    task.begin(batch.examples, normalizer: batch.normalizer)
    if let survey = batch.survey {
      table.begin(rows: survey.units.plan.examples.count, columns: task.columns)
      for index in survey.units.ownUnits {
        survey.units.plan.fill(&unit, with: index, from: survey.groups)
        if survey.needsReference || task.needsLiveReference { scoreReference() }
        model.score(unit, parameters: weights.model.view)
        forEachGroup { task.recordSurvey($0, into: &table) }
        Watchdog.progress()
      }
      try table.share(over: communicator)
      task.finishSurvey(table, of: survey.examples)
    }
    table.begin(rows: batch.examples.count, columns: task.columns)
  }

  private func accumulate(_ index: Int, of batch: PlannedBatch, _ task: any TrainingTask) throws {
    batch.units.plan.fill(&unit, with: index, from: task.groups)
    if task.needsLiveReference { scoreReference() }
    var failure: (any Error)?
    model.differentiate(
      unit, parameters: weights.model.view, values: weights.trained.view, gradients: gradients.view
    ) { span in
      do {
        try withGroup(span) { try task.evaluate($0, writesDerivatives: true, into: &table) }
      } catch { failure = error }
    }
    if let failure { throw failure }
    guard reduction.add(gradients.view) else { throw badGradient() }
    Watchdog.progress()
  }

  /// What sums are divided by, from the shared table.
  ///
  /// - Throws: ``Fault`` where it is so much smaller than expected that exact sums would lose what Float32 holds.
  private func normalizer(of batch: PlannedBatch, _ task: any TrainingTask) throws -> Double {
    let normalizer = task.normalizer(batch.normalizer, for: table)
    guard normalizer >= batch.normalizer * 0x1p-20 else {
      throw Fault(
        .data, "the weights of the step add up to \(normalizer), and those of the data to \(batch.normalizer)",
        at: "objective.normalization", hint: "use objective.normalization=count, or another alignment of wpo")
    }
    return normalizer
  }

  private func forEachGroup(_ body: (UnitGroup) throws -> Void) rethrows {
    for span in unit.groups { try withGroup(span, body) }
  }

  private func withGroup(_ span: GroupSpan, _ body: (UnitGroup) throws -> Void) rethrows {
    try referenceRows.withUnsafeBufferPointer {
      try body(UnitGroup(span: span, unit: unit, model: model, reference: $0))
    }
  }

  /// Learning rates and clipping of backbone and head.
  private func prepareGroups(norm: Double, factor: Double) {
    let settings = configuration.optimizer
    let clipped = { (norm: Double, maximum: Double) in GradientClipping.scale(norm: norm, maximum: maximum) }
    groups[Self.backboneGroup].learningRate = settings.learningRate * factor
    groups[Self.headGroup].learningRate = settings.head.learningRate * factor
    guard let headMaximum = settings.head.maxGradientNorm else {
      for group in groups.indices { groups[group].gradientScale = clipped(norm, settings.maxGradientNorm) }
      return
    }
    let own = { (group: Int) in self.squares.withUnsafeBufferPointer { self.norms.norm(ofGroup: group, from: $0) } }
    groups[Self.backboneGroup].gradientScale = clipped(own(Self.backboneGroup), settings.maxGradientNorm)
    groups[Self.headGroup].gradientScale = clipped(own(Self.headGroup), headMaximum)
  }

  private func gradientNorm() throws -> Double {
    try squares.withUnsafeMutableBufferPointer { table in
      norms.sumSquares(of: gradients.view, rank: communicator.rank, into: table)
      try communicator.allReduce(.sum, table)
      return norms.norm(from: UnsafeBufferPointer(table))
    }
  }

  /// Names the tensor whose gradient cannot be summed.
  private func badGradient() -> Fault {
    let culprit = model.trained.tensors.first { tensor in
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

// MARK: - The live reference

extension Trainer {
  /// Puts the unit's log-probabilities under the live reference aside.
  private func scoreReference() {
    model.score(unit, parameters: weights.referenceOrBase.view)
    for row in unit.targets.indices { referenceRows[row] = model.tokenLogProbabilities[row] }
  }

  /// Whether the live reference changes with the steps.
  var referenceMoves: Bool { configuration.referenceSync.every > 0 && weights.reference != nil }

  /// Every so many steps the reference moves towards the policy: θ_ref ← (1 − α)·θ_ref + α·θ (Gorbatovski et al. 2024, arXiv
  /// 2404.09656, eq. 2–3).
  ///
  /// The policy is taken as it was before the step's update, so that with α = 1 after every step (humanline's rule) the
  /// reference is one step behind.
  private func synchronizeReference(after step: Int) {
    let sync = configuration.referenceSync
    guard sync.every > 0, (step + 1) % sync.every == 0, let reference = weights.reference else { return }
    Elementwise.scale(reference.view, by: Float(1 - sync.mixup), into: reference.view)
    Elementwise.addScaled(
      weights.model.view.base, by: Float(sync.mixup), into: reference.view.base, count: reference.count)
  }
}
