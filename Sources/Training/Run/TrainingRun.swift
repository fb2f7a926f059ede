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
  private var isRankZero: Bool { communicator.rank == 0 }
  private var trainer: Trainer { setup.trainer }
  private var totalSteps: Int { setup.totalSteps }
  private let commentary: Commentary
  private let samples: EvaluationSamples?

  /// Opens and checks everything that the run needs; nothing is written but the lock and caches.
  package init(_ configuration: RunConfiguration, over communicator: any Communicator) throws {
    self.configuration = configuration
    self.communicator = communicator
    BLAS.threads = configuration.threads
    lock = try communicator.rank == 0 ? RunDirectoryLock(configuration.run) : nil
    do {
      setup = try TrainingSetup(configuration, over: communicator)
      commentary = Commentary(setup.preferences?.loss.objective.traits)
      samples = try EvaluationSamples(
        configuration, source: setup.source, trainer: setup.trainer, over: communicator)
      snapshots = Snapshots(
        store: SnapshotStore(directory: "\(configuration.run)/checkpoints"), communicator: communicator,
        settings: setup.continuationSettings, layoutDigest: setup.trainer.model.trained.digest)
    } catch {
      lock?.releaseUnused()
      throw error
    }
  }

  /// Trains until the last step, or until a signal asks to stop.
  package func run() throws -> Outcome {
    let first = try resume()
    guard first < totalSteps else { return try finish(trained: false) }
    let metrics = try isRankZero ? prepareRunDirectory(resumingAt: first) : nil
    describe(first)
    StopRequest.deferToSteps()
    defer { StopRequest.endSteps() }
    Watchdog.start(seconds: configuration.watchdogSeconds, rank: communicator.rank)
    defer { Watchdog.stop() }
    if first == 0, let values = try evaluate(after: 0) { metrics?.append([("step", .integer(0))] + values) }
    let progress = Progress(from: first, to: totalSteps, isEnabled: isRankZero)
    for step in first..<totalSteps {
      let isStopping = try train(step: step, metrics, progress)
      if isStopping, step + 1 < totalSteps { return try interrupt(after: step + 1) }
    }
    return try finish(trained: true)
  }

  /// One step with everything around it.
  private func train(step: Int, _ log: MetricsLog?, _ progress: Progress) throws -> Bool {
    let started = Clock.seconds
    let (task, examples) = try setup.batches.batch(ofStep: step)
    let batch = try trainer.plan(examples, of: task)
    let result = try trainer.step(step, batch, of: task)
    let metrics = setup.batches.metrics(of: batch, trainer.table)
    let seconds = Clock.seconds - started
    progress.update(
      step: step + 1, tokens: metrics.tokens, details: "\(metrics.summary)  |g| \(result.gradientNorm.brief)")
    commentary.notice(metrics, step: step)
    let isLast = step + 1 == totalSteps
    let evaluates = isLast || (configuration.evaluation.every > 0 && (step + 1) % configuration.evaluation.every == 0)
    let values = try evaluates ? evaluate(after: step + 1) ?? [] : []
    let counters: [(String, JSONValue)] = [
      ("step", .integer(Int64(step + 1))), ("epoch", .double(setup.batches.epochs(after: step + 1))),
      ("loss", .double(metrics.loss)), ("grad_norm", .double(result.gradientNorm)),
      ("learning_rate", .double(result.learningRate)), ("examples", .integer(Int64(metrics.examples))),
      ("tokens", .integer(Int64(metrics.tokens))), ("seconds", .double(seconds)),
    ]
    log?.append(counters + metrics.values.map { ($0.name, .double($0.value)) } + values)
    let saves = configuration.checkpoint.every > 0 && (step + 1) % configuration.checkpoint.every == 0
    if saves, !isLast { try save(after: step + 1) }
    return result.isStopping
  }

  /// Metrics of the held-out data, or nil if there are none.
  private func evaluate(after step: Int) throws -> [(String, JSONValue)]? {
    try samples?.write(step: step, isRankZero: isRankZero)
    guard let metrics = try setup.batches.evaluate() else { return nil }
    if isRankZero { log.info("evaluation: \(metrics.summary)") }
    return [("eval/loss", .double(metrics.loss))] + metrics.values.map { ("eval/\($0.name)", .double($0.value)) }
  }

  private func save(after step: Int) throws {
    try snapshots.save(
      trainer, objectiveState: setup.batches.state, step: step, keep: configuration.checkpoint.keep)
    try setup.batches.forget(before: step)
    Watchdog.progress()
  }

  private func interrupt(after step: Int) throws -> Outcome {
    try save(after: step)
    if isRankZero { log.notice("asked to stop: saved after step \(step); start again to go on") }
    return .interrupted
  }

  private func finish(trained: Bool) throws -> Outcome {
    if trained { try save(after: totalSteps) }
    if isRankZero {
      let directory = "\(configuration.run)/final"
      // Also when nothing was left to train: the job may have ended between its last checkpoint and this.
      try export(to: directory)
      log.notice("finished \(totalSteps) steps; the model is in \(directory)")
    }
    try communicator.barrier()
    return .finished
  }
}

// MARK: - Ending

extension TrainingRun {
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

  private func prepareRunDirectory(resumingAt step: Int) throws -> MetricsLog {
    let run = configuration.run
    try AtomicFile.write("\(run)/config.yaml", Array(configuration.settings.yaml.utf8))
    return try MetricsLog(path: "\(run)/metrics.jsonl", keepingSteps: step == 0 ? -1 : step)
  }

  private func describe(_ first: Int) {
    guard isRankZero else { return }
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

extension TrainedParameters {
  /// SHA-256 of names, shapes and order.
  var digest: String {
    let hash = SHA256()
    for tensor in tensors { hash.update(field: "\(tensor.name) \(tensor.shape)") }
    return hash.finish().hex
  }
}
