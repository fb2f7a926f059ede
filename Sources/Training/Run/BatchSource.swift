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
  func metrics(of batch: PlannedBatch, _ table: StepTable) -> StepMetrics

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
  private let report: PreferenceReport
  private let batchSize: Int
  private var stream: BatchStream

  init(_ configuration: RunConfiguration, training: PreferenceTask, evaluation: PreferenceTask?, trainer: Trainer) {
    self.training = training
    self.evaluation = evaluation
    report = PreferenceReport(trainer: trainer, normalization: configuration.normalization)
    batchSize = configuration.batch.size
    stream = BatchStream(
      count: training.data.dataset.count, size: configuration.batch.size, seed: configuration.seed,
      shuffle: configuration.data.shuffle)
  }

  var descriptions: [String] {
    ["training data: \(training.data.dataset.report.summary)"]
      + (evaluation.map { ["held-out data: \($0.data.dataset.report.summary)"] } ?? [])
      + (training.domains.map { [$0.summary(batch: batchSize)] } ?? [])
  }

  var state: [Double] {
    get { training.state }
    set { training.state = newValue }
  }

  func batch(ofStep step: Int) -> (task: any TrainingTask, examples: [Int]) {
    (training, stream.examples(ofStep: step))
  }

  func metrics(of batch: PlannedBatch, _ table: StepTable) -> StepMetrics {
    report.metrics(of: training, batch.examples, table)
  }

  func evaluate() throws -> StepMetrics? {
    try evaluation.map { task in
      task.adoptObjective(of: training)
      return try report.evaluate(task)
    }
  }

  func epochs(after steps: Int) -> Double { stream.epochs(after: steps) }
  func forget(before step: Int) {}
}
