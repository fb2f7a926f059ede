import AlignmentCore
import Checkpoints
import Collectives
import Kernels
import Objectives
import Optimization
import PreferenceData
import Testing
import Training
import Transformer

/// A trainer of a fixture model on twelve prompts, for any method of training.
struct TrainerSetup {
  let fixture: ModelFixture
  let configuration: RunConfiguration
  let dataset: TokenizedDataset
  let directory: TemporaryDirectory

  init(
    _ model: String, _ settings: [String] = [], weight: @escaping (Int) -> Double = { 0.5 + 0.25 * Double($0 % 4) }
  ) throws {
    BLAS.threads = 1
    directory = try TemporaryDirectory()
    fixture = try ModelFixture(model)
    configuration = try TrainingTests.configuration(
      ["batch.unit_tokens=60", "optimizer.learning_rate=1e-3"] + settings)
    dataset =
      try configuration.policy == nil
      ? TrainingTests.dataset(directory, for: configuration.preferenceLoss.objective.traits.groupKind, weight: weight)
      : TrainingTests.dataset(directory, selection: .all)
  }

  static let batches = [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [3, 1, 4], [11, 5], [9, 2, 6, 5, 8]]

  /// A task of its own for each trainer: objectives may have state.
  func task() throws -> any TrainingTask {
    guard let policy = configuration.policy else { return try preferenceTask() }
    return PolicyTask(policy.objective, try experience(policy.objective))
  }

  func preferenceTask(reference: ReferenceTable? = nil) throws -> PreferenceTask {
    let loss = try configuration.preferenceLoss
    return PreferenceTask(
      loss, data: ObjectiveData(dataset: dataset, reference: reference ?? .forTests(dataset)),
      normalization: configuration.normalization, contextLength: 64,
      needsLiveReference: configuration.referenceSync.every > 0, weighting: loss.weighting,
      domains: try configuration.groupDRO.map { try RobustDomains($0, dataset) })
  }

  /// Rewards and recollections that are made up, but for log-probabilities near those of the model.
  private func experience(_ objective: any PolicyObjective) throws -> Experience {
    var rollout = Rollout(dataset)
    let own = try tokenLogProbabilities()
    rollout.rewards = rollout.tokens.indices.map { Double($0 * $0 % 7) / 3 - 1 }
    rollout.old = own.enumerated().map { $1 + 0.05 * Double($0 % 9 - 4) }
    if objective.needsReference { rollout.reference = own.enumerated().map { $1 - 0.04 * Double($0 % 5 - 2) } }
    if objective.needsValues { rollout.values = own.indices.map { 0.1 * Double($0 % 11) - 0.5 } }
    return Experience(
      dataset: dataset, rollout: rollout, advantages: objective.advantages(of: rollout), isOnPolicy: false,
      maximumLength: 16)
  }

  /// What the fixture says of each token of each completion.
  private func tokenLogProbabilities() throws -> [Double] {
    let parameters = try FloatBuffer(count: fixture.layout.count, purpose: "test")
    try fixture.load(into: parameters.view)
    let model = try LanguageModel(fixture.configuration, capacity: capacity, trained: nil)
    return (0..<dataset.count).flatMap { index -> [Double] in
      var unit = WorkUnit()
      dataset.add(index, slot: 0, to: &unit)
      model.score(unit, parameters: parameters.view)
      return Array(model.tokenLogProbabilities[..<unit.targets.count])
    }
  }

  private var capacity: UnitCapacity {
    let tokens = max(configuration.batch.unitTokens, dataset.maximumGroupTokens)
    return UnitCapacity(tokens: tokens, predictions: 2 * tokens, sequence: 64)
  }

  private var head: ModelHead {
    get throws {
      if let policy = configuration.policy {
        return policy.objective.needsValues ? .languageModelWithValue : .languageModel
      }
      return try configuration.preferenceLoss.objective.traits.output == .score ? .score : .languageModel
    }
  }

  private func trained(_ layout: ParameterLayout) throws -> TrainedParameters {
    guard let lora = configuration.lora else { return TrainedParameters(all: layout) }
    let heads = layout.tensors.filter(\.belongsToScalarHead).map(\.name)
    return TrainedParameters(layout, adapters: try lora.specifications(for: layout), whole: Set(heads))
  }

  func trainer(
    bucketBlocks: Int? = nil, over communicator: any Communicator = LocalCommunicator()
  ) throws -> Trainer {
    let layout = ParameterLayout(fixture.configuration, head: try head)
    let model = try LanguageModel(
      fixture.configuration, head: try head, capacity: capacity, trained: trained(layout),
      detachesValues: configuration.policy?.detachesValues ?? false,
      entropyOrder: configuration.loss?.weighting?.entropyOrder)
    let schedule = LearningRateSchedule(shape: configuration.schedule.shape, warmup: 0, totalSteps: 4)
    let isMismatched = configuration.loss?.objective.traits.survey == .mismatched
    let trainer = try Trainer(
      configuration, model: model, needsReference: isMismatched || configuration.referenceSync.every > 0,
      schedule: schedule, bucketBlocks: bucketBlocks, over: communicator)
    try trainer.weights.begin(layout, seed: 5) { try fixture.load(into: $0, layout) }
    if let reference = trainer.weights.reference { try fixture.load(into: reference.view, layout) }
    return trainer
  }

  /// What can be seen of a trainer after some steps.
  struct Outcome: Equatable, Sendable {
    var parameters: [Float]
    var model: [Float]
    var reference: [Float]
    var norms: [Double]
    var state: [Double]

    init(_ trainer: Trainer, _ task: any TrainingTask, _ norms: [Double]) {
      parameters = trainer.weights.trained.values
      model = trainer.weights.model.values
      reference = trainer.weights.reference?.values ?? []
      self.norms = norms
      state = (task as? PreferenceTask)?.state ?? []
    }
  }

  /// The state after four steps.
  func train(bucketBlocks: Int? = nil, over communicator: any Communicator = LocalCommunicator()) throws -> Outcome {
    let (trainer, task) = (try trainer(bucketBlocks: bucketBlocks, over: communicator), try task())
    return Outcome(trainer, task, try run(trainer, task, steps: 0..<Self.batches.count))
  }

  /// Gradient norms of some steps.
  private func run(_ trainer: Trainer, _ task: any TrainingTask, steps: Range<Int>) throws -> [Double] {
    try steps.map { try trainer.step($0, trainer.plan(Self.batches[$0], of: task), of: task).gradientNorm }
  }

  /// Does some steps and saves.
  func trainAndSave(steps: Int, bucketBlocks: Int? = nil, over communicator: any Communicator) throws {
    let (trainer, task) = (try trainer(bucketBlocks: bucketBlocks, over: communicator), try task())
    _ = try run(trainer, task, steps: 0..<steps)
    try snapshots(communicator).save(
      trainer, objectiveState: (task as? PreferenceTask)?.state ?? [], step: steps, keep: 1)
  }

  /// Goes on from what is saved to the end; gradient norms are of the steps done now.
  func resume(over communicator: any Communicator) throws -> Outcome {
    let (trainer, task) = (try trainer(over: communicator), try task())
    let snapshots = snapshots(communicator)
    let manifest = try #require(try snapshots.newest())
    let state = try snapshots.load(manifest, into: trainer)
    (task as? PreferenceTask)?.state = state
    return Outcome(trainer, task, try run(trainer, task, steps: manifest.step..<Self.batches.count))
  }

  private func snapshots(_ communicator: any Communicator) -> Snapshots {
    Snapshots(
      store: SnapshotStore(directory: "\(directory.path)/checkpoints"), communicator: communicator,
      settings: [("method", "test")], layoutDigest: "test")
  }
}
