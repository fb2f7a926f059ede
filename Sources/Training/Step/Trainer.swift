import AlignmentCore
import Collectives
import Kernels
import Optimization
import PreferenceData
import Transformer

/// One rank's part of the training of a model: its arenas and the optimiser step.
package final class Trainer {
  /// What a step reports, the same on every rank.
  package struct StepResult {
    package var gradientNorm: Double
    package var learningRate: Double
    /// Whether any rank was asked to stop.
    package var isStopping: Bool
    /// Whether any rank still writes its part of a checkpoint.
    package var isSaving: Bool
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
  private let exchange: StepExchange
  /// What the tokens of a unit contribute to the gradient of the embedding, if that is trained.
  private let embeddingRows: EmbeddingRows?
  private var unit = WorkUnit()
  private let norms: GradientNorms
  private var squares: [Double]
  private var referenceRows: [Double]
  private var groups: [GroupStep]
  private var divergence: DivergenceCheck
  /// What must be the same on every rank: weights, and state of the optimiser that is not sharded. The arenas live as long
  /// as this object.
  private let commonViews: [FloatView]
  package private(set) var table: StepTable
  package private(set) var speeds: RankSpeeds
  private let planner: BatchPlanner
  private let clock: StepClock
  /// Where the time of the last step went.
  package var times: PhaseTimes { clock.times }

  /// - Parameters:
  ///   - needsReference: whether tasks ask for log-probabilities under the reference.
  ///   - bucketBlocks: blocks of a bucket of communication, where that must not follow from the number of ranks.
  package init(
    _ configuration: RunConfiguration, model: LanguageModel, needsReference: Bool = false,
    schedule: LearningRateSchedule, bucketBlocks: Int? = nil, over communicator: any Communicator
  ) throws {
    self.configuration = configuration
    self.model = model
    self.schedule = schedule
    self.communicator = communicator
    let trained = model.trained
    sharding =
      bucketBlocks.map { Sharding(count: trained.count, ranks: communicator.size, bucketBlocks: $0) }
      ?? .interleaved(count: trained.count, ranks: communicator.size)
    // Without adapters the model is the reference already.
    let isBase = !trained.isComplete && configuration.reference == nil
    weights = try ModelWeights(
      model, needsReference: needsReference && !isBase, referenceMoves: configuration.referenceSync.every > 0,
      over: communicator)
    gradients = try FloatBuffer(count: trained.count, purpose: "gradients")
    reduction = try GradientReduction(configuration.reduction, sharding, rank: communicator.rank)
    embeddingRows = try model.makeEmbeddingRows()
    exchange = try StepExchange(
      configuration.communication ?? .suited(to: communicator), reduction, sharding,
      StepExchange.Arenas(
        parameters: weights.trainedArena, gradients: gradients,
        gathersGradients: configuration.optimizer.type.needsWholeGradients),
      order: model.completionOrder(rows: embeddingRows), table: embeddingRows.map(\.exchanged), over: communicator,
      progress: Watchdog.progress)
    clock = StepClock(exchange)
    planner = BatchPlanner(configuration, model: model, rank: communicator.rank)
    (table, speeds) = (StepTable(ranks: communicator.size), RankSpeeds(ranks: communicator.size))
    let runs = trained.tensors.map {
      ParameterRun(
        range: $0.range, group: $0.belongsToScalarHead ? Self.headGroup : Self.backboneGroup,
        decays: configuration.optimizer.decay == .all || $0.isMatrix)
    }
    optimizer = try configuration.optimizer.type.init(
      options: configuration.optimizer.options, shard: sharding.shard(ofRank: communicator.rank), runs: runs,
      tensors: trained.tensors.map { TensorShape(range: $0.range, shape: $0.shape) })
    norms = GradientNorms(sharding, runs: runs)
    divergence = DivergenceCheck(over: communicator)
    commonViews =
      [weights.trained, weights.base, weights.reference].compactMap { $0?.view } + optimizer.replicatedState.map(\.view)
    squares = Array(repeating: 0, count: norms.tableCount)
    referenceRows = Array(repeating: 0, count: needsReference ? model.capacity.predictions : 0)
    let (backbone, head) = (configuration.optimizer.weightDecay, configuration.optimizer.head.weightDecay)
    groups = [backbone, head].map { GroupStep(learningRate: 0, weightDecay: $0, gradientScale: 1) }
    unit.reserve(tokens: model.capacity.tokens, groups: model.capacity.tokens, completions: model.capacity.predictions)
    weights.arrival = exchange
    // Adapters are merged when all are here, so that layers need not be waited for.
    model.arrival = trained.isComplete ? exchange : nil
  }

  /// Whether communication goes on beside the computation.
  var overlapsCommunication: Bool { exchange.isOverlapped }

  /// Cuts a batch into units, and says which of them are this rank's.
  package func plan(_ examples: [Int], of task: any TrainingTask) throws -> PlannedBatch {
    try planner.plan(examples, of: task, rates: speeds.rates)
  }
}

// MARK: - The step

extension Trainer {
  /// One optimiser step: gradients of the own units, their exact sum over all ranks, clipping, update of the own shard,
  /// exchange of parameters. Allocates nothing.
  ///
  /// With overlapped communication the parameters of other ranks arrive after it has returned; see ``ModelWeights``.
  ///
  /// - Parameters:
  ///   - step: counted from 0.
  ///   - isSaving: whether this rank still writes its part of a checkpoint, which the others are told.
  /// - Throws: ``Fault`` of kind `nonFinite` or `diverged`, on every rank and before any parameter has changed.
  package func step(_ step: Int, _ batch: PlannedBatch, of task: any TrainingTask, isSaving: Bool = false) throws
    -> StepResult
  {
    clock.begin()
    try begin(batch, of: task)
    let (work, spoilt) = try accumulate(batch, of: task)
    clock.endComputation()
    FaultInjection.reach(.allreduce)
    try clock.collectively {
      try table.share(
        over: communicator,
        flags: .init(isStopping: StopRequest.isPending, isSaving: isSaving, isSpoilt: spoilt != nil), computed: work)
    }
    speeds.observe { table.computation(ofRank: $0) }
    if table.flagged.isSpoilt > 0 { try throwTogether(spoilt) }
    try exchange.reduce()
    reduction.means(normalizer: try normalizer(of: batch, task), into: gradients.view)
    let norm = try gradientNorm()
    guard norm.isFinite else {
      try exchange.skip()
      throw Fault(.nonFinite, "the norm of the summed gradient is \(norm)", hint: "lower the learning rate")
    }
    if configuration.check.isDue(step) { try checkDivergence() }
    prepareGroups(norm: norm, factor: schedule.factor(atStep: step))
    synchronizeReference(after: step)
    try update(step)
    if FaultInjection.spoils(.flip, at: .weights) { flipWeight() }
    task.observe(table)
    clock.end()
    return StepResult(
      gradientNorm: norm, learningRate: groups[0].learningRate, isStopping: table.flagged.isStopping > 0,
      isSaving: table.flagged.isSaving > 0)
  }

  /// Updates the own shard and begins to exchange parameters.
  private func update(_ step: Int) throws {
    try exchange.gatherGradients()
    FaultInjection.reach(.update)
    optimizer.update(parameters: weights.trainedArena.view, gradients: gradients.view, step: step, groups: groups)
    try exchange.gatherParameters()
    guard !model.trained.isComplete else { return }
    try exchange.settle()
    weights.refresh()
  }

  /// Compares the weights of all ranks.
  ///
  /// - Throws: ``Fault`` of kind `diverged`, on every rank.
  package func checkDivergence() throws {
    guard communicator.size > 1 else { return }
    // Between two steps parameters may still be on their way.
    try exchange.settle()
    try divergence.check(commonViews)
  }

  /// Scores the own units of a list of examples without changing anything; the table is shared afterwards.
  package func evaluate(_ examples: [Int], of task: any TrainingTask) throws {
    let batch = try plan(examples, of: task)
    try begin(batch, of: task)
    for index in batch.units.ownUnits {
      batch.units.plan.fill(&unit, with: index, from: task.groups)
      if task.needsLiveReference { scoreReference() }
      model.score(unit, parameters: weights.modelArena.view)
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
        model.score(unit, parameters: weights.modelArena.view)
        forEachGroup { task.recordSurvey($0, into: &table) }
        Watchdog.progress()
      }
      try clock.collectively { try table.share(over: communicator) }
      task.finishSurvey(table, of: survey.examples)
    }
    table.begin(rows: batch.examples.count, columns: task.columns)
  }

  /// Adds up the gradients of the own units. What the last one completes is on its way to other ranks at once.
  ///
  /// - Returns: what was computed, and what is not finite: that is not thrown, because the other ranks wait.
  private func accumulate(_ batch: PlannedBatch, of task: any TrainingTask) throws -> (Computation, Fault?) {
    exchange.begin()
    // A unit adds at most one row and one dense gradient to an element.
    reduction.begin(scale: batch.normalizer * task.magnitude, terms: 2 * batch.units.plan.units.count)
    let own = batch.units.ownUnits
    guard let last = own.last else {
      exchange.release(0..<sharding.count)
      return (Computation(), nil)
    }
    let started = clock.now
    var work = Computation()
    do {
      for index in own {
        try accumulate(index, of: batch, task, isLast: index == last)
        work.cost += batch.units.plan.costs[index]
      }
    } catch let fault as Fault where fault.kind == .nonFinite {
      return (Computation(), fault)
    }
    work.seconds = clock.passed(since: started)
    return (work, nil)
  }

  /// Throws on every rank what the first rank that has a fault says. What is on its way is finished, for the next step.
  private func throwTogether(_ fault: Fault?) throws {
    try exchange.skip()
    let texts = try communicator.allGather(Array((fault?.description ?? "").utf8))
    if communicator.size == 1, let fault { throw fault }
    let rank = texts.firstIndex { !$0.isEmpty } ?? 0
    throw Fault(.nonFinite, String(decoding: texts[rank], as: UTF8.self), at: "rank \(rank)")
  }

  private func accumulate(_ index: Int, of batch: PlannedBatch, _ task: any TrainingTask, isLast: Bool) throws {
    batch.units.plan.fill(&unit, with: index, from: task.groups)
    if task.needsLiveReference { scoreReference() }
    if isLast { exchange.release(model.sparseRange(rows: embeddingRows)) }
    var failure: (any Error)?
    var (isSound, isFirst) = (true, true)
    model.differentiate(
      unit, parameters: weights.modelArena.view, values: weights.trainedArena.view, gradients: gradients.view,
      rows: embeddingRows
    ) { range in
      if isFirst, FaultInjection.spoils(.nan, at: .gradient) { gradients.view[range].base[0] = .nan }
      isFirst = false
      isSound = reduction.add(gradients.view, range) && isSound
      if isLast { exchange.release(range) }
    } objective: { span in
      do {
        try withGroup(span) { try task.evaluate($0, writesDerivatives: true, into: &table) }
      } catch { failure = error }
    }
    if let failure { throw failure }
    FaultInjection.reach(.gradient)
    if let rows = embeddingRows?.rows { isSound = (isLast ? exchange.add(rows) : reduction.add(rows)) && isSound }
    guard isSound else { throw badGradient() }
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

  /// The least that can go wrong with a memory: one bit of one weight.
  private func flipWeight() {
    let weight = weights.trained.view.base + weights.trained.count / 2
    weight.pointee = Float(bitPattern: weight.pointee.bitPattern ^ 1)
    weights.refresh()
  }

  private func gradientNorm() throws -> Double {
    try squares.withUnsafeMutableBufferPointer { table in
      norms.sumSquares(of: gradients.view, rank: communicator.rank, into: table)
      try clock.collectively { try communicator.allReduce(.sum, table) }
      return norms.norm(from: UnsafeBufferPointer(table))
    }
  }

  /// Names the tensor whose gradient cannot be summed.
  private func badGradient() -> Fault {
    let isBad = { (view: FloatView) in
      (0..<view.count).contains { !(abs(Double(view.base[$0])) <= self.reduction.largestTerm) }
    }
    let culprit =
      model.trained.tensors.first { isBad(gradients.view[$0.range]) }
      ?? model.trained.tensors.first { tensor in
        embeddingRows.map { tensor.range == $0.table && isBad($0.gradients) } ?? false
      }
    let rows = unit.groups.map { String($0.example) }.joined(separator: ", ")
    return Fault(
      .nonFinite,
      "the gradient of \(culprit?.name ?? "a tensor") is not finite or too large for exact sums (examples \(rows))",
      hint: "lower the learning rate, or use reduction=fast if large gradients are expected")
  }
}

extension EmbeddingRows {
  /// As ranks exchange them.
  fileprivate var exchanged: StepExchange.Table {
    StepExchange.Table(start: table.lowerBound, width: width, capacity: capacity)
  }

  /// The rows of the unit computed last.
  fileprivate var rows: TableRows {
    TableRows(tableStart: table.lowerBound, width: width, indices: tokens, count: count, base: gradients.base)
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
      weights.modelArena.view.base, by: Float(sync.mixup), into: reference.view.base, count: reference.count)
  }
}
