import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Kernels
import Logging
import Objectives
import Optimization
import PreferenceData
import Transformer

/// A training run from its configuration to its final model: prepares, resumes, trains, evaluates, saves.
package final class TrainingRun {
  /// How a run ended.
  package enum Outcome: Sendable {
    case finished
    /// Saved because a signal asked for it; starting again goes on.
    case interrupted
  }

  private let configuration: RunConfiguration
  private let communicator: any Communicator
  private let setup: TrainingSetup
  private let snapshots: Snapshots
  private let lock: RunDirectoryLock?
  /// Where the ranks are, for the run directory.
  package var placement: Placement?
  private var isRankZero: Bool { communicator.rank == 0 }
  private var trainer: Trainer { setup.trainer }
  private var totalSteps: Int { setup.totalSteps }
  private let commentary: Commentary
  private let samples: EvaluationSamples?
  private let checkpoints: CheckpointWriter
  private var stepTimes = StepTimes()
  private var skips: SkippedSteps
  private var stragglers: StragglerWatch
  /// Where the time of all steps so far went, and how long training had stood still for checkpoints by the last of them.
  private var times = PhaseTimes()
  private var stall = 0.0

  /// Opens and checks everything that the run needs; nothing is written but the lock and caches.
  package init(_ configuration: RunConfiguration, over communicator: any Communicator) throws {
    self.configuration = configuration
    self.communicator = communicator
    BLAS.threads = configuration.threads
    lock = try RunDirectoryLock.take(configuration.run, over: communicator)
    skips = SkippedSteps(configuration.nonFinite)
    do {
      let setup = try Watchdog.watch(configuration.watchdog, rank: communicator.rank) {
        try Watchdog.during(.startUp) { try TrainingSetup(configuration, over: communicator) }
      }
      self.setup = setup
      commentary = Commentary(setup.preferences?.loss.objective.traits)
      samples = try EvaluationSamples(
        configuration, source: setup.source, trainer: setup.trainer, over: communicator)
      stragglers = try StragglerWatch(over: communicator, sharesWork: configuration.reduction == .exact)
      snapshots = Snapshots(
        store: SnapshotStore(directory: "\(configuration.run)/checkpoints"), communicator: communicator,
        settings: setup.continuationSettings, layoutDigest: setup.trainer.model.trained.digest)
      checkpoints = try CheckpointWriter(snapshots, setup.trainer, configuration.checkpoint)
    } catch {
      lock?.releaseUnused()
      throw error
    }
  }

  /// Trains until the last step, or until a signal asks to stop.
  package func run() throws -> Outcome {
    try Watchdog.watch(configuration.watchdog, rank: communicator.rank) { try trainAll() }
  }

  private func trainAll() throws -> Outcome {
    let first = try Watchdog.during(.modelLoad) { try resume() }
    guard first < totalSteps else { return try finish(trained: false) }
    do { try checkSpace() } catch {
      lock?.releaseUnused()
      throw error
    }
    let metrics = try isRankZero ? prepareRunDirectory(resumingAt: first) : nil
    describe(first)
    StopRequest.deferToSteps()
    defer { StopRequest.endSteps() }
    if first == 0, let values = try evaluate(after: 0) { metrics?.append([("step", .integer(0))] + values) }
    let progress = Progress(from: first, to: totalSteps, isEnabled: isRankZero)
    for step in first..<totalSteps {
      FaultInjection.beginStep(step + 1)
      let isStopping = try Watchdog.during(.step) { try train(step: step, metrics, progress) }
      if isStopping, step + 1 < totalSteps { return try interrupt(after: step + 1) }
    }
    return try finish(trained: true)
  }

  /// One step with everything around it.
  ///
  /// - Returns: whether a signal asked to stop.
  private func train(step: Int, _ log: MetricsLog?, _ progress: Progress) throws -> Bool {
    let started = MonotonicClock.seconds
    let (task, examples) = try setup.batches.batch(ofStep: step)
    let batch = try trainer.plan(examples, of: task)
    let preparation = MonotonicClock.seconds - started
    let result = try skips.unlessSkipped(step, isRankZero: isRankZero) {
      do {
        return try trainer.step(step, batch, of: task, isSaving: !checkpoints.isReady)
      } catch let fault as Fault where [.nonFinite, .diverged].contains(fault.kind) {
        // All ranks are here, and what was sound when it was copied is worth waiting for.
        checkpoints.finish()
        throw fault
      }
    }
    var row: [(String, JSONValue)] = [
      ("step", .integer(Int64(step + 1))), ("epoch", .double(setup.batches.epochs(after: step + 1))),
    ]
    if let result {
      if !result.isSaving { try forget(before: checkpoints.advance()) }
      row += report(step, result, batch, seconds: MonotonicClock.seconds - started, progress)
      row += account(preparation: preparation).metrics
    }
    if isDue(configuration.evaluation.every, step) || step + 1 == totalSteps {
      row += try evaluate(after: step + 1) ?? []
    }
    log?.append(row + skips.metrics + checkpoints.metrics)
    let isStopping = result?.isStopping ?? false
    if isDue(configuration.checkpoint.every, step), !isStopping, step + 1 < totalSteps { try save(after: step + 1) }
    return isStopping
  }

  private func isDue(_ every: Int, _ step: Int) -> Bool { every > 0 && (step + 1) % every == 0 }

  /// Tells people of a step, and gives what the log is told.
  private func report(
    _ step: Int, _ result: Trainer.StepResult, _ batch: PlannedBatch, seconds: Double, _ progress: Progress
  ) -> [(String, JSONValue)] {
    let metrics = setup.batches.metrics(of: batch, trainer.table)
    Watchdog.expect(stepSeconds: stepTimes.add(seconds))
    progress.update(
      step: step + 1, tokens: metrics.tokens, details: "\(metrics.summary)  |g| \(result.gradientNorm.brief)")
    commentary.notice(metrics, step: step)
    return [
      ("loss", .double(metrics.loss)), ("grad_norm", .double(result.gradientNorm)),
      ("learning_rate", .double(result.learningRate)), ("examples", .integer(Int64(metrics.examples))),
      ("tokens", .integer(Int64(metrics.tokens))), ("seconds", .double(seconds)),
    ] + metrics.values.map { ($0.name, .double($0.value)) }
  }

  /// Where the time went since the last step was logged; names ranks that are slow.
  private func account(preparation: Double) -> PhaseTimes {
    var phases = trainer.times
    for remark in stragglers.remarks(on: trainer.speeds.slowness, seconds: phases.compute) { log.warning("\(remark)") }
    phases.data = preparation
    accountStall(to: &phases)
    times += phases
    return phases
  }

  private func accountStall(to phases: inout PhaseTimes) {
    phases.checkpoint += checkpoints.statistics.stall - stall
    stall = checkpoints.statistics.stall
  }

  /// Metrics of the held-out data, or nil if there are none.
  private func evaluate(after step: Int) throws -> [(String, JSONValue)]? {
    try Watchdog.during(.evaluation) {
      FaultInjection.reach(.evaluation)
      try samples?.write(step: step, isRankZero: isRankZero)
      guard let metrics = try setup.batches.evaluate() else { return nil }
      if isRankZero { log.info("evaluation: \(metrics.summary)") }
      return [("eval/loss", .double(metrics.loss))] + metrics.values.map { ("eval/\($0.name)", .double($0.value)) }
    }
  }

  /// Begins a checkpoint, which is written behind the next steps.
  private func save(after step: Int) throws {
    try Watchdog.during(.checkpoint) {
      try trainer.checkDivergence()
      try forget(before: checkpoints.begin(step: step, objectiveState: setup.batches.state))
    }
  }

  /// Saves and waits until the checkpoint is durable.
  private func saveNow(after step: Int) throws {
    try Watchdog.during(.checkpoint) {
      try trainer.checkDivergence()
      try checkpoints.saveNow(step: step, objectiveState: setup.batches.state)
      try forget(before: step)
    }
  }

  /// What only steps before a checkpoint need can go when that is safe.
  private func forget(before step: Int?) throws {
    if let step { try setup.batches.forget(before: step) }
  }

  private func interrupt(after step: Int) throws -> Outcome {
    try saveNow(after: step)
    try tellTimes()
    if isRankZero { log.notice("asked to stop: saved after step \(step); start again to go on") }
    return .interrupted
  }

  private func finish(trained: Bool) throws -> Outcome {
    // A model that fits is worth something even if its checkpoint does not.
    let saved = trained ? Result { try saveNow(after: totalSteps) } : .success(())
    let exported = Result { try Watchdog.during(.export) { try exportOnRankZero() } }
    try saved.get()
    try exported.get()
    if trained { try tellTimes() }
    if isRankZero {
      if trained { log.info("\(checkpoints.summary)") }
      log.notice("finished \(totalSteps) steps; the model is in \(configuration.run)/final")
    }
    return .finished
  }
}

// MARK: - Ending

extension TrainingRun {
  /// Says where the time of the run went.
  private func tellTimes() throws {
    accountStall(to: &times)
    let summary = try times.summary(over: communicator)
    if isRankZero { log.info("\(summary)") }
  }

  /// Writes the model, also when nothing was left to train: the job may have ended between its last checkpoint and this.
  private func exportOnRankZero() throws {
    try communicator.doOnRankZero {
      FaultInjection.reach(.export)
      try export(to: "\(configuration.run)/final")
    }
  }

  /// Writes the model, and adapters beside it where those were trained.
  private func export(to directory: String) throws {
    let model = trainer.model
    try ModelExport(source: setup.source, layout: model.layout, head: model.head)
      .write(trainer.weights.model.view, to: directory)
    guard let settings = configuration.lora, case .directory(let base) = configuration.model else { return }
    try AdapterExport(settings: settings, trained: model.trained, head: model.head, base: base)
      .write(trainer.weights.trained.view, to: "\(configuration.run)/adapter")
  }
}

// MARK: - Beginning

extension TrainingRun {
  /// Fills the trainer from the newest checkpoint or from the model, and returns the steps done.
  private func resume() throws -> Int {
    FaultInjection.reach(.load)
    if let manifest = try snapshots.newest() {
      guard manifest.step <= totalSteps else {
        throw Fault(
          .configuration, "the run has done \(manifest.step) steps, more than the \(totalSteps) asked for",
          at: configuration.run, hint: "raise steps or choose another run directory")
      }
      try setup.loadWeights()
      setup.batches.state = try snapshots.load(manifest, into: trainer)
      return manifest.step
    }
    try setup.loadWeights()
    return 0
  }

  /// Refuses a disk that is too small, before any work is done.
  private func checkSpace() throws {
    try communicator.doOnRankZero {
      let directory = snapshots.store.directory
      try CheckpointSpace.check(
        FileSystem.isDirectory(directory) ? directory : configuration.run, bytes: trainer.checkpointBytes,
        keep: configuration.checkpoint.keep,
        held: try snapshots.store.candidates().count,
        modelBytes: trainer.model.layout.count * MemoryLayout<Float>.stride)
    }
  }

  private func prepareRunDirectory(resumingAt step: Int) throws -> MetricsLog {
    let run = configuration.run
    try AtomicFile.write("\(run)/config.yaml", Array(configuration.settings.yaml.utf8))
    try placement?.write(to: run)
    return try MetricsLog(path: "\(run)/metrics.jsonl", keepingSteps: step == 0 ? -1 : step)
  }

  private func describe(_ first: Int) {
    guard isRankZero else { return }
    if communicator.size > 1 { describeCommunication() }
    let c = setup.source.configuration
    log.info(
      "\(c.modelType), \(trainer.model.layout.count.grouped) parameters, \(c.layerCount) layers, vocabulary \(c.vocabularySize)"
    )
    for description in setup.batches.descriptions { log.info("\(description)") }
    if !trainer.model.trained.isComplete { log.info("training \(trainer.model.trained.count.grouped) parameters") }
    let start = first == 0 ? "" : ", resuming after step \(first)"
    log.info(
      "\(totalSteps) steps of \(configuration.batch.size) examples on \(communicator.size) ranks × \(configuration.threads) threads\(start)"
    )
  }
}

extension TrainingRun {
  private func describeCommunication() {
    if configuration.communication == .overlapped, !trainer.overlapsCommunication {
      log.notice("MPI does not allow several threads: communication=ring instead of overlapped")
    }
    if configuration.reduction == .fast {
      log.info("reduction=fast: every rank keeps its share of the units, however fast it is")
    }
  }
}

extension TrainedParameters {
  /// SHA-256 of names, shapes and order.
  var digest: String {
    let hash = SHA256()
    for tensor in tensors { hash.update(field: "\(tensor.name) \(tensor.shape)") }
    return hash.finish().hex
  }
}
