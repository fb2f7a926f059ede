import AlignmentCore
import Collectives
import Kernels
import Optimization
import PreferenceData
import Training
import Transformer

/// Trains a model that is in memory on examples that are, too: the steps of `adalign train` without its files.
package struct ModelTraining: Sendable {
  /// As a recipe names it, with its options.
  package var objective: String
  package var steps: Int
  package var batch = 64
  package var learningRate: Double
  package var seed: UInt64

  package init(_ objective: String, steps: Int, learningRate: Double, seed: UInt64) {
    (self.objective, self.steps, self.learningRate, self.seed) = (objective, steps, learningRate, seed)
  }

  /// Steps for a number of passes over the examples.
  package static func steps(passes: Double, examples: Int, batch: Int = 64) -> Int {
    BatchStream.steps(epochs: passes, count: examples, batch: batch)
  }

  /// The trained parameters.
  ///
  /// - Parameters:
  ///   - start: parameters of a language model of the lessons' shape; left as they are.
  ///   - observe: sees the parameters after each step, counted from 1.
  package func train(
    _ start: FloatBuffer, of source: ModelSource, on lessons: ModelLessons,
    observe: (_ step: Int, FloatBuffer) throws -> Void = { _, _ in }
  ) throws -> FloatBuffer {
    let configuration = try RunConfiguration(recipe: recipe, path: "experiment", overrides: [])
    guard let loss = configuration.loss else { preconditionFailure("\(objective) does not learn from examples") }
    let communicator = LocalCommunicator()
    let dataset = try lessons.dataset(cache: configuration.cache, over: communicator)
    let layout = ParameterLayout(source.configuration)
    let model = try LanguageModel(
      source.configuration, capacity: UnitCapacity(unitTokens: configuration.batch.unitTokens, datasets: [dataset]),
      trained: TrainedParameters(all: layout), budget: configuration.memory)
    let trainer = try Trainer(
      configuration, model: model,
      schedule: LearningRateSchedule(
        shape: .cosine, warmup: LearningRateSchedule.steps(0.1, of: steps), totalSteps: steps, minimum: 0.1),
      over: communicator)
    try trainer.weights.begin(layout, seed: seed) { Elementwise.scale(start.view, by: 1, into: $0) }
    let task = PreferenceTask(
      loss, data: ObjectiveData(dataset: dataset, reference: ReferenceTable(sums: lessons.reference)),
      normalization: .count, contextLength: source.configuration.contextLength)
    var stream = BatchStream(count: dataset.count, size: batch, seed: seed, shuffle: true)
    for step in 0..<steps {
      _ = try trainer.step(step, trainer.plan(stream.examples(ofStep: step), of: task), of: task)
      try observe(step + 1, trainer.weights.model)
    }
    return trainer.weights.model
  }

  private var recipe: String {
    """
    run: none
    model: none
    steps: \(steps)
    data: {train: none}
    batch: {size: \(batch), unit_tokens: 2048}
    objective: {\(objective)}
    optimizer: {learning_rate: \(learningRate)}
    seed: \(seed >> 1)
    """
  }
}

/// What a model is trained on.
package struct ModelLessons {
  package var examples: [EncodedExample] = []
  /// Weight and probability that the label is right, of each example; empty where both are 1.
  package var labels: [(weight: Double, q: Double)] = []
  /// Log-probability of each completion under the reference policy, where the objective looks at one.
  package var reference: [Double] = []

  package init() {}

  /// Texts to be imitated.
  package init(prompts: [[Int32]], completions: [[Int32]]) {
    examples = zip(prompts, completions).map {
      EncodedExample(prompt: $0, completions: [.init(tokens: $1, role: .chosen)])
    }
  }

  /// Adds a pair.
  ///
  /// - Parameters:
  ///   - q: the probability that the first completion is better.
  ///   - reference: log-probabilities of both.
  package mutating func append(
    prompt: [Int32], _ completions: [[Int32]], q: Double, weight: Double, reference: [Double]
  ) {
    let order = q >= 0.5 ? [0, 1] : [1, 0]
    examples.append(
      EncodedExample(
        prompt: prompt,
        completions: zip(order, [CompletionRole.chosen, .rejected]).map { .init(tokens: completions[$0], role: $1) }))
    labels.append((weight, max(q, 1 - q)))
    self.reference += order.map { reference[$0] }
  }

  func dataset(cache: String, over communicator: any Communicator) throws -> TokenizedDataset {
    try TransientDataset.open(examples, labels: labels, cache: cache, over: communicator)
  }
}
