import Adaptation
import AlignmentCore
import Collectives
import Objectives
import PreferenceData
import Transformer

/// Batches of pairs that the policy says itself: at every step it answers prompts, and a judge labels pairs of the answers;
/// a share of each batch can come from the data.
///
/// A step's batch follows from the weights, the seed and the judge alone, so it is the same on any number of ranks and can be
/// made again. Nothing flows back through sampling or judging.
final class OnlineBatches: BatchSource {
  private let configuration: RunConfiguration
  private let online: RunConfiguration.OnlineSettings
  private let inputs: OnlineInputs
  private let model: ModelSource
  private let trainer: Trainer
  private let labeller: Labeller
  private let communicator: any Communicator
  private let pass: SamplingPass
  private let stops: StopStrings?
  private let report: PreferenceReport
  private let makeTask: (TokenizedDataset, _ isTraining: Bool) -> PreferenceTask
  private var stream: BatchStream
  private var sourceStream: BatchStream?
  private var current: (task: PreferenceTask, statistics: LabelStatistics)?
  /// What the objective has gathered, which outlives the task of a step.
  private var objectiveState: [Double]?

  /// - Parameters:
  ///   - makeTask: the objective on a dataset, with a live reference.
  init(
    _ configuration: RunConfiguration, _ online: RunConfiguration.OnlineSettings, _ inputs: OnlineInputs,
    model: ModelSource, trainer: Trainer, labeller: Labeller, over communicator: any Communicator,
    makeTask: @escaping (TokenizedDataset, _ isTraining: Bool) -> PreferenceTask
  ) {
    self.configuration = configuration
    self.online = online
    self.inputs = inputs
    self.model = model
    self.trainer = trainer
    self.labeller = labeller
    self.communicator = communicator
    self.makeTask = makeTask
    report = PreferenceReport(trainer: trainer, normalization: configuration.normalization)
    pass = SamplingPass(
      model.configuration, limits: SamplingLimits(sequences: online.unitSequences), over: communicator)
    stops = online.stops.isEmpty ? nil : StopStrings(online.stops, tokenizer: model.tokenizer)
    let fromSource = online.sourceExamples(ofBatch: configuration.batch.size)
    let stream = { (count: Int, size: Int, seed: UInt64) in
      BatchStream(count: count, size: size, seed: seed, shuffle: configuration.data.shuffle)
    }
    self.stream = stream(inputs.prompts.count, configuration.batch.size - fromSource, configuration.seed)
    sourceStream = inputs.source.map { stream($0.count, fromSource, configuration.seed &+ 1) }
  }

  var descriptions: [String] {
    ["\(inputs.prompts.count) prompts; \(labeller.identity) judges"]
      + (inputs.source.map { ["a share of \(online.sourceShare) from the data: \($0.report.summary)"] } ?? [])
      + (inputs.evaluation.map { ["held-out data: \($0.report.summary)"] } ?? [])
  }

  var state: [Double] {
    get { current?.task.state ?? objectiveState ?? [] }
    set { objectiveState = newValue }
  }

  func metrics(of batch: PlannedBatch, _ table: StepTable) -> StepMetrics {
    guard let current else { preconditionFailure("a batch was made") }
    var metrics = report.metrics(of: current.task, batch.examples, table)
    metrics.values += current.statistics.metrics
    return metrics
  }

  func evaluate() throws -> StepMetrics? {
    try inputs.evaluation.map { data in
      let task = makeTask(data, false)
      if let current { task.adoptObjective(of: current.task) }
      return try report.evaluate(task)
    }
  }

  func epochs(after steps: Int) -> Double { stream.epochs(after: steps) }
  func forget(before step: Int) {}
}

// MARK: - A batch

extension OnlineBatches {
  func batch(ofStep step: Int) throws -> (task: any TrainingTask, examples: [Int]) {
    let prompts = stream.examples(ofStep: step).map { inputs.prompts[$0] }
    let answers = try draw(prompts, step: step)
    let groups = try answers.enumerated().map { index, samples in
      CandidateGroup(
        number: step * prompts.count + index, prompt: prompts[index].text, texts: try samples.map(text))
    }
    let labelled = try labeller.labels(of: groups)
    let (labels, statistics) = (labelled.labels, labelled.statistics)
    var examples = labels.map { pair($0, prompts[$0.group].tokens, answers[$0.group]) }
    var weights = labels.map { (weight: $0.weight, q: $0.q) }
    if let source = inputs.source, var stream = sourceStream {
      let chosen = stream.examples(ofStep: step)
      sourceStream = stream
      examples += chosen.map(source.encoded)
      weights += chosen.map { (source.example($0).weight, source.example($0).q) }
    }
    guard !examples.isEmpty else {
      throw Fault(
        .data, "no pair of step \(step + 1) could be labelled: \(statistics.summary)", at: "online.label",
        hint: "draw more samples, raise the temperature, or loosen online.label.filter")
    }
    let dataset = try TransientDataset.open(
      examples, labels: weights, cache: configuration.cache, over: communicator)
    let task = makeTask(dataset, true)
    if !state.isEmpty { task.state = state }
    current = (task, statistics)
    return (task, Array(0..<dataset.count))
  }

  private func draw(_ prompts: [PromptText], step: Int) throws -> [[Sample]] {
    var settings = online.sampling
    settings.stopTokens = model.stopTokens
    settings.seed = configuration.seed &+ UInt64(step) &* 0x9E37_79B9_7F4A_7C15
    return try pass.draw(
      prompts.map(\.tokens), parameters: trainer.weights.model.view, settings, stops: stops)
  }

  private func text(_ sample: Sample) throws -> String {
    String(decoding: try model.tokenizer.decode(sample.ids, skipSpecialTokens: true), as: UTF8.self)
  }

  /// The tokens that were drawn, not those that their text would have.
  private func pair(_ label: PseudoLabel, _ prompt: [Int32], _ samples: [Sample]) -> EncodedExample {
    let completion = { (place: Int, role: CompletionRole) in
      EncodedExample.Completion(
        tokens: self.model.ended(samples[place].ids, promptLength: prompt.count), role: role)
    }
    return EncodedExample(
      prompt: prompt,
      completions: [completion(label.first, .chosen), completion(label.second ?? label.first, .rejected)])
  }
}
