import AlignmentCore
import Collectives
import Objectives
import PreferenceData
import Transformer

/// What a run computes with: its model, its trainer, and where its batches come from.
package struct TrainingSetup {
  package let source: ModelSource
  package let trainer: Trainer
  package let totalSteps: Int
  let batches: any BatchSource
  /// What must be the same when the run is continued.
  let continuationSettings: [(key: String, value: String)]
  private let configuration: RunConfiguration
  private let liveReference: ModelSource?
  private let startingAdapter: AdapterFiles?
  /// What gives the samples of a rollout their rewards.
  private let scorer: RewardScorer?
  /// The task of a run on preferences.
  package let preferences: PreferenceTask?

  /// Prepares data and allocates all memory; weights are not loaded yet.
  package init(_ configuration: RunConfiguration, over communicator: any Communicator) throws {
    switch (configuration.method, configuration.online) {
    case (.preference(let loss), nil): try self.init(configuration, loss, over: communicator)
    case (.preference(let loss), let online?): try self.init(configuration, loss, online, over: communicator)
    case (.policy(let settings), nil): try self.init(configuration, settings, over: communicator)
    case (.policy, _?):
      throw Fault(
        .configuration, "policy optimisation has samples of its own", at: "online",
        hint: "leave it out, or use an objective for pairs such as dpo")
    }
  }

  /// Fills the weights from the model, and those of a live reference.
  package func loadWeights() throws {
    let (layout, weights) = (trainer.model.layout, trainer.weights)
    try weights.begin(layout, seed: configuration.seed) { try source.loadParameters(layout, into: $0) }
    if let startingAdapter {
      try startingAdapter.load(trainer.model.trained, into: weights.trained.view)
      weights.refresh()
    }
    if let liveReference { try weights.beginReference { try liveReference.loadParameters(layout, into: $0) } }
    try scorer?.loadWeights()
  }
}

// MARK: - Preferences

extension TrainingSetup {
  private init(_ configuration: RunConfiguration, _ loss: PreferenceLoss, over communicator: any Communicator) throws {
    self.configuration = configuration
    source = try ModelSource(configuration.model).agreed(over: communicator)
    let head = try Self.head(loss.objective.traits, source)
    let plan = try TrainedPlan(configuration, source, head)
    let inputs = try RunInputs(configuration, loss, source: source, over: communicator)
    totalSteps = inputs.totalSteps
    liveReference = inputs.liveReference
    continuationSettings = inputs.continuationSettings
    let context = source.configuration.contextLength
    let task = { (data: ObjectiveData, weighting: (any StepWeighting)?, domains: RobustDomains?) in
      PreferenceTask(
        loss, data: data, normalization: configuration.normalization, contextLength: context,
        needsLiveReference: configuration.referenceSync.every > 0, weighting: weighting, domains: domains)
    }
    let domains = try configuration.groupDRO.map { try RobustDomains($0, inputs.training.dataset) }
    let training = task(inputs.training, loss.weighting, domains)
    preferences = training
    let capacity = UnitCapacity(
      unitTokens: configuration.batch.unitTokens,
      datasets: [inputs.training, inputs.evaluation].compactMap { $0?.dataset },
      mixesPrompts: loss.objective.traits.survey == .mismatched, contextLength: context)
    startingAdapter = plan.start
    scorer = nil
    trainer = try Self.trainer(
      configuration, source, plan, capacity, needsReference: inputs.liveReference != nil, totalSteps: totalSteps,
      communicator)
    batches = PreferenceBatches(
      configuration, training: training, evaluation: inputs.evaluation.map { task($0, nil, nil) }, trainer: trainer)
  }

  /// The head that the objective trains.
  static func head(_ traits: ObjectiveTraits, _ source: ModelSource) throws -> ModelHead {
    guard traits.output == .logProbability else { return .score }
    try checkLanguageModel(source)
    return .languageModel
  }

  static func checkLanguageModel(_ source: ModelSource) throws {
    guard source.head != .score else {
      throw Fault(
        .configuration, "the model is a reward model, and the objective needs a language model", at: "model",
        hint: "use a …ForCausalLM model, or an objective for reward models such as bradley_terry")
    }
  }

  /// One optimiser step on a batch of preferences, for benchmarks.
  package func step(_ step: Int, _ examples: [Int]) throws {
    guard let preferences else { preconditionFailure("the run is not on preferences") }
    _ = try trainer.step(step, trainer.plan(examples, of: preferences), of: preferences)
  }

  /// Allocates what a rank holds of a model in training.
  static func trainer(
    _ configuration: RunConfiguration, _ source: ModelSource, _ plan: TrainedPlan, _ capacity: UnitCapacity,
    needsReference: Bool, totalSteps: Int, _ communicator: any Communicator
  ) throws -> Trainer {
    let model = try LanguageModel(
      source.configuration, head: plan.head, capacity: capacity, trained: plan.trained,
      detachesValues: configuration.policy?.detachesValues ?? false,
      entropyOrder: configuration.loss?.weighting?.entropyOrder, budget: configuration.memory)
    return try Trainer(
      configuration, model: model, needsReference: needsReference,
      schedule: configuration.schedule.resolved(totalSteps: totalSteps), over: communicator)
  }
}

/// What of a model is trained, found out before any data are read.
struct TrainedPlan {
  let head: ModelHead
  let trained: TrainedParameters
  /// The adapter that training goes on from.
  let start: AdapterFiles?

  init(_ configuration: RunConfiguration, _ source: ModelSource, _ head: ModelHead) throws {
    self.head = head
    let layout = ParameterLayout(source.configuration, head: head)
    guard let lora = configuration.lora else {
      (trained, start) = (TrainedParameters(all: layout), nil)
      return
    }
    guard configuration.referenceSync.every == 0 else {
      throw Fault(
        .configuration, "a moving reference cannot be kept with adapters", at: "objective.reference_sync",
        hint: "train all parameters, or leave it out")
    }
    start = try lora.start.map { try AdapterFiles($0) }
    let heads = layout.tensors.filter(\.belongsToScalarHead).map(\.name)
    trained =
      try start?.trained(layout)
      ?? TrainedParameters(layout, adapters: try lora.specifications(for: layout), whole: Set(heads))
  }
}

// MARK: - Preferences from the policy

extension TrainingSetup {
  private init(
    _ configuration: RunConfiguration, _ loss: PreferenceLoss, _ online: RunConfiguration.OnlineSettings,
    over communicator: any Communicator
  ) throws {
    self.configuration = configuration
    preferences = nil
    source = try ModelSource(configuration.model).agreed(over: communicator)
    try Self.checkLanguageModel(source)
    let plan = try TrainedPlan(configuration, source, .languageModel)
    let traits = loss.objective.traits
    let inputs = try OnlineInputs(configuration, online, traits, model: source, over: communicator)
    totalSteps = inputs.totalSteps
    liveReference = inputs.reference
    startingAdapter = plan.start
    scorer = nil
    trainer = try Self.trainer(
      configuration, source, plan, inputs.capacity, needsReference: inputs.reference != nil, totalSteps: totalSteps,
      communicator)
    let judges = JudgeBuilder(
      policy: configuration.model.directory, storeDirectory: configuration.run, cache: configuration.cache,
      communicator: communicator)
    let labeller = try Labeller(online.label, judges, seed: configuration.seed)
    continuationSettings = inputs.continuationSettings + [("judge", labeller.identity)]
    let context = source.configuration.contextLength
    batches = OnlineBatches(
      configuration, online, inputs, model: source, trainer: trainer, labeller: labeller, over: communicator
    ) { dataset, isTraining in
      PreferenceTask(
        loss, data: ObjectiveData(dataset: dataset, reference: .none), normalization: configuration.normalization,
        contextLength: context, needsLiveReference: traits.needsReference,
        weighting: isTraining ? loss.weighting : nil)
    }
  }
}

// MARK: - Policy optimisation

extension TrainingSetup {
  private init(
    _ configuration: RunConfiguration, _ settings: RunConfiguration.PolicySettings, over communicator: any Communicator
  ) throws {
    self.configuration = configuration
    preferences = nil
    source = try ModelSource(configuration.model).agreed(over: communicator)
    try Self.checkLanguageModel(source)
    let plan = try TrainedPlan(
      configuration, source, settings.objective.needsValues ? .languageModelWithValue : .languageModel)
    let inputs = try RolloutInputs(configuration, settings, source: source, over: communicator)
    totalSteps = inputs.totalSteps
    continuationSettings = inputs.continuationSettings
    liveReference = inputs.reference
    let limits = inputs.limits
    startingAdapter = plan.start
    trainer = try Self.trainer(
      configuration, source, plan, limits.capacity(unitTokens: configuration.batch.unitTokens),
      needsReference: inputs.reference != nil, totalSteps: totalSteps, communicator)
    let scorer = try RewardScorer(
      inputs.settings.rewards, inputs.rewardModel, limits, unitTokens: configuration.batch.unitTokens,
      over: communicator)
    self.scorer = scorer
    let sampler = RolloutSampler(
      configuration, inputs.settings.rollout, source: source, material: inputs.material,
      evaluationPrompts: inputs.evaluationPrompts, trainer: trainer, over: communicator)
    batches = RolloutBatches(
      configuration, inputs.settings, material: inputs.material, trainer: trainer, scorer: scorer, sampler: sampler,
      over: communicator)
  }
}
