import AlignmentCore
import Collectives
import Foundation
import Kernels
import Objectives
import Optimization
import PreferenceData
import Testing
import Training
import Transformer

@Suite struct TrainerTests {
  /// A trainer of a fixture model on a dataset of twelve weighted rows.
  private struct Setup {
    let fixture: ModelFixture
    let configuration: RunConfiguration
    let dataset: TokenizedDataset
    let directory: TemporaryDirectory

    init(
      _ model: String, _ settings: [String] = [], weight: @escaping (Int) -> Double = { 0.5 + 0.25 * Double($0 % 4) }
    )
      throws
    {
      BLAS.threads = 1
      directory = try TemporaryDirectory()
      fixture = try ModelFixture(model)
      configuration = try TrainingTests.configuration(
        ["batch.unit_tokens=60", "optimizer.learning_rate=1e-3"] + settings)
      dataset = try TrainingTests.dataset(directory, for: configuration.loss.objective.traits.groupKind, weight: weight)
    }

    /// A task of its own for each trainer: objectives may have state.
    func task() -> PreferenceTask {
      PreferenceTask(
        configuration.loss, data: ObjectiveData(dataset: dataset, reference: .forTests(dataset)),
        normalization: configuration.normalization, contextLength: 64,
        needsLiveReference: configuration.referenceSync.every > 0)
    }

    func trainer(over communicator: any Communicator = LocalCommunicator()) throws -> Trainer {
      let traits = configuration.loss.objective.traits
      let head: ModelHead = traits.output == .score ? .score : .languageModel
      let capacity = UnitCapacity(
        tokens: max(configuration.batch.unitTokens, dataset.maximumGroupTokens),
        predictions: 2 * max(configuration.batch.unitTokens, dataset.maximumGroupTokens),
        sequence: 64)
      let model = try LanguageModel(
        fixture.configuration, head: head, capacity: capacity,
        trained: TrainedParameters(all: ParameterLayout(fixture.configuration, head: head)))
      let schedule = LearningRateSchedule(shape: configuration.schedule.shape, warmup: 0, totalSteps: 4)
      let needsReference = traits.survey == .mismatched || configuration.referenceSync.every > 0
      let trainer = try Trainer(
        configuration, model: model, needsReference: needsReference, schedule: schedule, over: communicator)
      try fixture.load(into: trainer.weights.trained.view, model.layout)
      if let reference = trainer.weights.reference { try fixture.load(into: reference.view, model.layout) }
      return trainer
    }

    static let batches = [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [3, 1, 4], [11, 5], [9, 2, 6, 5, 8]]

    /// The parameters and gradient norms after four steps.
    func train(over communicator: any Communicator = LocalCommunicator()) throws -> (
      parameters: [Float], norms: [Double]
    ) {
      let (trainer, task) = (try trainer(over: communicator), task())
      let norms = try Self.batches.enumerated().map { step, batch in
        try trainer.step(step, trainer.plan(batch, of: task), of: task).gradientNorm
      }
      return (trainer.weights.trained.values, norms)
    }
  }

  static let runs: [(String, [String])] = [
    ("llama-gqa", []), ("qwen3", ["objective.normalization=weight", "schedule.name=cosine"]),
    ("llama-biased", ["objective.name=sft", "optimizer.weight_decay=0.1"]), ("mistral", ["batch.unit_tokens=40"]),
  ]

  /// Objectives that look at the whole batch, that remember, or that need more than sums of log-probabilities.
  static let coupledRuns: [(String, [String])] = [
    ("llama-gqa", ["objective.name=kto"]), ("qwen3", ["objective.name=kto", "objective.kl=opposite"]),
    ("llama-gqa", ["objective.name=aot"]), ("mistral", ["objective.name=aot_unpaired"]),
    ("llama-gqa", ["objective.name=bco"]), ("qwen2", ["objective.name=bradley_terry", "batch.unit_tokens=40"]),
    ("llama-gqa", ["objective.name=regression"]),
    ("llama-gqa", ["objective.name=[dpo, sft]", "objective.weights=[1, 0.3]"]),
    ("llama-gqa", ["objective.humanline=yes", "objective.reference_sync=1", "objective.reference_mixup=1"]),
    ("llama-gqa", ["objective.reference_sync=2", "objective.ld_alpha=0.5"]),
  ]

  @Test(arguments: runs + coupledRuns)
  func anyNumberOfRanksGivesTheSameBits(model: String, settings: [String]) throws {
    let setup = try Setup(model, settings)
    let alone = try setup.train()
    #expect(alone.norms.allSatisfy { $0 > 0 && $0.isFinite })
    for ranks in 2...5 {
      for outcome in try LocalCommunicator.run(ranks: ranks, { try setup.train(over: $0) }) {
        #expect(outcome.parameters == alone.parameters && outcome.norms == alone.norms, "\(ranks) ranks")
      }
    }
  }

  @Test(arguments: runs)
  func fastSumsAreTheSameOnEveryRank(model: String, settings: [String]) throws {
    let setup = try Setup(model, settings + ["reduction=fast"])
    let first = try LocalCommunicator.run(ranks: 3) { try setup.train(over: $0) }
    for outcome in first { #expect(outcome.parameters == first[0].parameters && outcome.norms == first[0].norms) }
    let again = try LocalCommunicator.run(ranks: 3) { try setup.train(over: $0) }
    #expect(again[0].parameters == first[0].parameters)
  }

  // Float32 gradients of three units or of one, relative to their norm; Adam's first step passes a relative error of a
  // gradient on only where it is near ε.
  static let gradientTolerance = 1e-5

  @Test(arguments: runs)
  func aStepIsTheMeanGradientOfTheBatch(model: String, settings: [String]) throws {
    let setup = try Setup(model, settings)
    let (trainer, task) = (try setup.trainer(), setup.task())
    let batch = [3, 1, 4, 7, 0]
    let result = try trainer.step(0, trainer.plan(batch, of: task), of: task)
    let expected = try gradientNorm(setup, batch)
    #expect(abs(result.gradientNorm / expected - 1) <= Self.gradientTolerance)
    #expect(result.learningRate == 1e-3 && !result.isStopping)
  }

  /// The norm of Σ w·∂loss / normaliser over a batch, one example after the other, summed in Float64.
  private func gradientNorm(_ setup: Setup, _ batch: [Int]) throws -> Double {
    let (dataset, objective) = (setup.dataset, setup.configuration.loss.objective)
    let reference = setup.task().data.reference.sums
    let parameters = try FloatBuffer(count: setup.fixture.layout.count, purpose: "test")
    let gradients = try FloatBuffer(count: setup.fixture.layout.count, purpose: "test")
    try setup.fixture.load(into: parameters.view)
    var sum = [Double](repeating: 0, count: gradients.count)
    let amount = { (index: Int) in
      setup.configuration.normalization == .weight ? dataset.example(index).weight : 1
    }
    let normalizer = batch.reduce(0) { $0 + amount($1) }
    let perToken = normalizer / batch.reduce(0) { $0 + amount($1) * Double(dataset.completionLength($1, 0)) }
    for index in batch {
      let record = dataset.example(index)
      var unit = WorkUnit()
      unit.beginGroup(example: index, slot: 0, prompt: dataset.promptTokens(of: record))
      let completions = (0..<record.completionCount).map { dataset.completion($0, of: record) }
      for completion in completions { unit.addCompletion(dataset.tokens(completion.tokenRange)) }
      let model = try LanguageModel(
        setup.fixture.configuration,
        capacity: UnitCapacity(tokens: unit.tokens.count, predictions: unit.targets.count, sequence: 64),
        trained: TrainedParameters(all: setup.fixture.layout))
      model.differentiate(unit, parameters: parameters.view, values: parameters.view, gradients: gradients.view) {
        group in
        let logps = unit.completions.enumerated().map { offset, span in
          ScoredCompletion(
            policy: model.output(of: span), reference: reference[record.firstCompletion + offset],
            tokens: span.tokenCount)
        }
        let loss = objective.loss(
          of: ObjectiveGroup(completions: logps, softLabel: record.q, examplesPerToken: perToken))
        let derivatives = logps.indices.map { loss.derivatives[$0] }
        for (derivative, span) in zip(derivatives, unit.completions) {
          for row in span.rows { model.tokenDerivatives.base[row] = Float(derivative) }
        }
      }
      for i in sum.indices { sum[i] += record.weight * Double(gradients.view.base[i]) }
    }
    return sum.reduce(0) { $0 + $1 * $1 }.squareRoot() / normalizer
  }

  // With normalization=weight a common factor of all weights cancels: exactly where it is a power of two, and otherwise to
  // the rounding of one Float32 derivative per completion.
  @Test(arguments: [0x1p-20, 0x1p20, 1e-3, 1e3, 1e-12, 1e12])
  func weightsCountRelativeToEachOther(factor: Double) throws {
    let settings = ["objective.normalization=weight"]
    let plain = try Setup("llama-gqa", settings).train()
    let scaled = try Setup("llama-gqa", settings, weight: { factor * (0.5 + 0.25 * Double($0 % 4)) }).train()
    if factor.significand == 1 { #expect(scaled.parameters == plain.parameters) }
    for (a, b) in zip(scaled.norms, plain.norms) { #expect(abs(a / b - 1) <= Self.gradientTolerance) }
  }

  // Far outside that range a batch is refused instead of being summed wrongly.
  @Test(arguments: [1e-25, 1e-60, 1e-300, 1e30])
  func weightsThatCannotBeSummedAreRefused(factor: Double) throws {
    let setup = try Setup("llama-gqa", ["objective.normalization=weight"], weight: { _ in factor })
    let (trainer, task) = (try setup.trainer(), setup.task())
    let before = trainer.weights.trained.values
    _ = fault(.data) { _ = try trainer.step(0, trainer.plan([0, 1], of: task), of: task) }
    #expect(trainer.weights.trained.values == before)
  }

  /// The message of a step that must fail and leave the parameters alone.
  private func failingStep(_ setup: Setup, _ batch: [Int], _ prepare: (Trainer) -> Void = { _ in }) throws -> String {
    let (trainer, task) = (try setup.trainer(), setup.task())
    prepare(trainer)
    let before = trainer.weights.trained.values.map(\.bitPattern)
    let message = fault(.nonFinite) { _ = try trainer.step(0, trainer.plan(batch, of: task), of: task) }
    #expect(trainer.weights.trained.values.map(\.bitPattern) == before)
    return message
  }

  @Test func aLossThatIsNotFiniteNamesItsExample() throws {
    let setup = try Setup("llama-gqa")
    let message = try failingStep(setup, [7]) { trainer in
      for i in 0..<trainer.weights.trained.count { trainer.weights.trained.view.base[i] = .nan }
    }
    #expect(message.contains("example 7"), "\(message)")
  }

  @Test(arguments: ["exact", "fast"])
  func aGradientThatIsNotFiniteNamesItsTensor(reduction: String) throws {
    // A weight whose loss is finite in Float64 and whose derivative is not in Float32.
    let setup = try Setup("llama-sharded-v4", ["reduction=\(reduction)"], weight: { $0 == 4 ? 1e40 : 1 })
    let message = try failingStep(setup, [4])
    #expect(message.contains("not finite") && message.contains("examples 4"), "\(message)")
    #expect(setup.fixture.layout.tensors.contains { message.contains($0.name) }, "\(message)")
  }

  @Test func aGradientTooLargeForExactSumsNamesItsTensor() throws {
    let setup = try Setup("llama-gqa", weight: { $0 == 4 ? 1e9 : 1 })
    let message = try failingStep(setup, [4, 5])
    #expect(message.contains("too large") && message.contains("examples 4"), "\(message)")
    #expect(setup.fixture.layout.tensors.contains { message.contains($0.name) }, "\(message)")
  }
}

extension FloatBuffer {
  var values: [Float] { Array(UnsafeBufferPointer(start: view.base, count: count)) }
}
