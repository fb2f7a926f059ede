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

/// Batches of a dataset of preferences.
final class PreferenceBatches: BatchSource {
  private let training: PreferenceTask
  private let evaluation: PreferenceTask?
  private let trainer: Trainer
  private var stream: BatchStream

  init(_ configuration: RunConfiguration, training: PreferenceTask, evaluation: PreferenceTask?, trainer: Trainer) {
    self.training = training
    self.evaluation = evaluation
    self.trainer = trainer
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
    task.observe(trainer.table)
    return metrics(of: task, examples, trainer.table, normalizer: task.normalizer(of: examples))
  }

  private func metrics(
    of task: PreferenceTask, _ examples: [Int], _ table: StepTable, normalizer: Double
  ) -> StepMetrics {
    let values = PreferenceMetrics.values(task.batch, objective: task.loss.objective)
    let accuracy = values.first { $0.name == "rewards/accuracies" }?.value
    return StepMetrics(
      loss: table.sum(ofColumn: 0) / normalizer, values: values, examples: examples.count,
      tokens: examples.reduce(0) { $0 + task.data.dataset.example($1).tokenCount },
      highlights: accuracy.map { [("accuracy", $0)] } ?? [])
  }

  func epochs(after steps: Int) -> Double { stream.epochs(after: steps) }
  func forget(before step: Int) {}
}
