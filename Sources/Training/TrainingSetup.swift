import AlignmentCore
import Collectives
import Objectives
import PreferenceData
import Transformer

/// What a run on preferences computes with: its data, its model and its trainer.
package struct TrainingSetup {
  package let source: ModelSource
  package let inputs: RunInputs
  package let trainer: Trainer
  package let training: PreferenceTask
  package let evaluation: PreferenceTask?

  /// Prepares data and allocates all memory; weights are not loaded yet.
  package init(_ configuration: RunConfiguration, over communicator: any Communicator) throws {
    source = try ModelSource(configuration.model)
    let head = try Self.head(configuration, source)
    let inputs = try RunInputs(configuration, source: source, over: communicator)
    self.inputs = inputs
    let context = source.configuration.contextLength
    let task = { (data: ObjectiveData) in
      PreferenceTask(
        configuration.loss, data: data, normalization: configuration.normalization, contextLength: context,
        needsLiveReference: configuration.referenceSync.every > 0)
    }
    training = task(inputs.training)
    evaluation = inputs.evaluation.map(task)
    let capacity = UnitCapacity(
      unitTokens: configuration.batch.unitTokens,
      datasets: [inputs.training, inputs.evaluation].compactMap { $0?.dataset },
      mixesPrompts: configuration.loss.objective.traits.survey == .mismatched, contextLength: context)
    let layout = ParameterLayout(source.configuration, head: head)
    let model = try LanguageModel(
      source.configuration, head: head, capacity: capacity, trained: TrainedParameters(all: layout),
      budget: configuration.memory)
    trainer = try Trainer(
      configuration, model: model, needsReference: inputs.liveReference != nil,
      schedule: configuration.schedule.resolved(totalSteps: inputs.totalSteps), over: communicator)
  }

  /// The head that the objective trains.
  private static func head(_ configuration: RunConfiguration, _ source: ModelSource) throws -> ModelHead {
    guard configuration.loss.objective.traits.output == .logProbability else { return .score }
    guard source.head != .score else {
      throw Fault(
        .configuration, "the model is a reward model, and the objective needs a language model", at: "model",
        hint: "use a …ForCausalLM model, or an objective for reward models such as bradley_terry")
    }
    return .languageModel
  }

  /// One optimiser step on a batch, for benchmarks.
  package func step(_ step: Int, _ examples: [Int]) throws {
    _ = try trainer.step(step, trainer.plan(examples, of: training), of: training)
  }

  /// Fills the weights from the model, and those of a live reference.
  package func loadWeights() throws {
    try source.loadParameters(trainer.model.layout, into: trainer.weights.trained.view)
    trainer.weights.refresh()
    if let reference = trainer.weights.reference, let source = inputs.liveReference {
      try source.loadParameters(trainer.model.layout, into: reference.view)
    }
  }
}
