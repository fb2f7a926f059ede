import AlignmentCore
import Objectives
import PreferenceData

/// Where the batches of a run come from, and what is told about them.
protocol BatchSource: AnyObject {
  /// For people: what is learned from.
  var descriptions: [String] { get }
  /// What belongs to a checkpoint beside the trainer's arenas.
  var state: [Double] { get set }

  /// Task and examples of a step, counted from 0; a source may first have to sample and to score.
  func batch(ofStep step: Int) throws -> (task: any TrainingTask, examples: [Int])

  /// What the step just done has shown.
  func metrics(of batch: Trainer.PlannedBatch, _ table: StepTable) -> StepMetrics

  /// Metrics on held-out data, or nil if there are none.
  func evaluate() throws -> StepMetrics?

  /// Passes over the data after a number of steps.
  func epochs(after steps: Int) -> Double

  /// Told when a checkpoint is safe: what only earlier steps need can go.
  func forget(before step: Int) throws
}

/// The numbers that a step or an evaluation reports.
package struct StepMetrics {
  package var loss: Double
  /// Name and value in the order of the log.
  package var values: [(name: String, value: Double)]
  /// Examples and tokens that were learned from, prompts once.
  package var examples: Int
  package var tokens: Int
  /// For people, beside the loss.
  package var highlights: [(name: String, value: Double)]

  package init(
    loss: Double, values: [(name: String, value: Double)], examples: Int, tokens: Int,
    highlights: [(name: String, value: Double)] = []
  ) {
    self.loss = loss
    self.values = values
    self.examples = examples
    self.tokens = tokens
    self.highlights = highlights
  }

  /// Loss and highlights in words.
  var summary: String {
    "loss \(loss.brief)" + highlights.map { "  \($0.name) \($0.value.brief)" }.joined()
  }

  package subscript(name: String) -> Double? { values.first { $0.name == name }?.value }
}

extension TokenizedDataset {
  /// The named domains in the order of their first rows, and the examples of each; rows without a domain are in none.
  var examplesByDomain: [(name: String, examples: [Int])] {
    var examples = [[Int]](repeating: [], count: domains.count)
    for index in 0..<count where example(index).domain >= 0 { examples[example(index).domain].append(index) }
    return zip(domains, examples).map { ($0, $1) }
  }
}

/// Batches of a dataset of preferences.
final class PreferenceBatches: BatchSource {
  private let training: PreferenceTask
  private let evaluation: PreferenceTask?
  private let trainer: Trainer
  private let normalization: RunConfiguration.Normalization
  private var stream: BatchStream

  init(_ configuration: RunConfiguration, training: PreferenceTask, evaluation: PreferenceTask?, trainer: Trainer) {
    self.training = training
    self.evaluation = evaluation
    self.trainer = trainer
    normalization = configuration.normalization
    stream = BatchStream(
      count: training.data.dataset.count, size: configuration.batch.size, seed: configuration.seed,
      shuffle: configuration.data.shuffle)
  }

  var descriptions: [String] {
    ["training data: \(training.data.dataset.report.summary)"]
      + (evaluation.map { ["held-out data: \($0.data.dataset.report.summary)"] } ?? [])
  }

  var state: [Double] {
    get { training.state }
    set { training.state = newValue }
  }

  func batch(ofStep step: Int) -> (task: any TrainingTask, examples: [Int]) {
    (training, stream.examples(ofStep: step))
  }

  func metrics(of batch: Trainer.PlannedBatch, _ table: StepTable) -> StepMetrics {
    metrics(of: training, batch.examples, table, normalizer: batch.normalizer)
  }

  func evaluate() throws -> StepMetrics? {
    guard let task = evaluation else { return nil }
    let examples = Array(0..<task.data.dataset.count)
    task.state = training.state
    try trainer.evaluate(examples, of: task)
    let objective = task.loss.objective
    task.observe(trainer.table)
    var metrics = metrics(of: task, examples, trainer.table, normalizer: task.normalizer(of: examples))
    metrics.values += Self.calibration(task.batch, objective.traits)
    metrics.values += domainValues(task, objective)
    return metrics
  }

  /// How far a reward model of pairs can be believed.
  private static func calibration(_ batch: [ObjectiveGroup], _ traits: ObjectiveTraits) -> [PreferenceMetrics.Named] {
    guard traits.output == .score, traits.groupKind == .pair else { return [] }
    let forecasts = PairForecasts(batch, weight: { _ in 1 })
    return [("nll", forecasts.negativeLogLikelihood()), ("ece", forecasts.expectedCalibrationError())]
  }

  /// The metrics of each domain, if there are several.
  ///
  /// - Parameters:
  ///   - objective: as it was when the losses were computed.
  private func domainValues(_ task: PreferenceTask, _ objective: any Objective) -> [PreferenceMetrics.Named] {
    let domains = task.data.dataset.examplesByDomain
    guard domains.count > 1 else { return [] }
    return domains.flatMap { name, examples in
      let batch = examples.map { task.batch[$0] }
      let loss = PreferenceMetrics.loss(of: batch, objective: objective, normalization: normalization)
      let values =
        [("loss", loss)] + PreferenceMetrics.values(batch, objective: objective)
        + Self.calibration(batch, objective.traits)
      return values.map { ("\(name)/\($0.0)", $0.1) }
    }
  }

  private func metrics(
    of task: PreferenceTask, _ examples: [Int], _ table: StepTable, normalizer: Double
  ) -> StepMetrics {
    let objective = task.loss.objective
    let values = PreferenceMetrics.values(task.batch, objective: objective) + objective.metrics
    let accuracy = values.first { $0.name == "rewards/accuracies" }?.value
    return StepMetrics(
      loss: table.sum(ofColumn: 0) / normalizer, values: values, examples: examples.count,
      tokens: examples.reduce(0) { $0 + task.data.dataset.example($1).tokenCount },
      highlights: accuracy.map { [("accuracy", $0)] } ?? [])
  }

  func epochs(after steps: Int) -> Double { stream.epochs(after: steps) }
  func forget(before step: Int) {}
}
