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
    let data: ObjectiveData
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
      let kind = type(of: configuration.objective).groupKind
      let dataset = try TrainingTests.dataset(
        directory, selection: kind == .pair ? .pairs : .preferred, weight: weight)
      data = ObjectiveData(
        dataset: dataset, reference: (0..<dataset.totalCompletions).map { -30 - Double($0 % 5) })
    }

    func trainer(over communicator: any Communicator = LocalCommunicator()) throws -> Trainer {
      let dataset = data.dataset
      let capacity = UnitCapacity(
        tokens: max(configuration.batch.unitTokens, dataset.maximumGroupTokens),
        predictions: 2 * max(configuration.batch.unitTokens, dataset.maximumGroupTokens),
        sequence: dataset.maximumSequenceTokens)
      let model = try LanguageModel(fixture.configuration, capacity: capacity, trains: true)
      let schedule = LearningRateSchedule(shape: configuration.schedule.shape, warmup: 0, totalSteps: 4)
      let trainer = try Trainer(configuration, model: model, schedule: schedule, over: communicator)
      try fixture.load(into: trainer.parameters.view)
      return trainer
    }

    static let batches = [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [3, 1, 4], [11, 5], [9, 2, 6, 5, 8]]

    /// The parameters and gradient norms after four steps.
    func train(over communicator: any Communicator = LocalCommunicator()) throws -> (
      parameters: [Float], norms: [Double]
    ) {
      let trainer = try trainer(over: communicator)
      let norms = try Self.batches.enumerated().map { step, batch in
        try trainer.step(step, trainer.plan(batch, of: data), of: data).gradientNorm
      }
      return (trainer.parameters.values, norms)
    }
  }

  static let runs: [(String, [String])] = [
    ("llama-gqa", []), ("qwen3", ["objective.normalization=weight", "schedule.name=cosine"]),
    ("llama-biased", ["objective.name=sft", "optimizer.weight_decay=0.1"]), ("mistral", ["batch.unit_tokens=40"]),
  ]

  @Test(arguments: runs)
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
    let trainer = try setup.trainer()
    let batch = [3, 1, 4, 7, 0]
    let result = try trainer.step(0, trainer.plan(batch, of: setup.data), of: setup.data)
    let expected = try gradientNorm(setup, batch)
    #expect(abs(result.gradientNorm / expected - 1) <= Self.gradientTolerance)
    #expect(result.learningRate == 1e-3 && !result.isStopping)
  }

  /// The norm of Σ w·∂loss / normaliser over a batch, one example after the other, summed in Float64.
  private func gradientNorm(_ setup: Setup, _ batch: [Int]) throws -> Double {
    let (dataset, objective) = (setup.data.dataset, setup.configuration.objective)
    let parameters = try FloatBuffer(count: setup.fixture.layout.count, purpose: "test")
    let gradients = try FloatBuffer(count: setup.fixture.layout.count, purpose: "test")
    try setup.fixture.load(into: parameters.view)
    var (sum, normalizer) = ([Double](repeating: 0, count: gradients.count), 0.0)
    for index in batch {
      let record = dataset.example(index)
      var unit = WorkUnit()
      unit.beginGroup(example: index, slot: 0, prompt: dataset.promptTokens(of: record))
      let completions = (0..<record.completionCount).map { dataset.completion($0, of: record) }
      for completion in completions { unit.addCompletion(dataset.tokens(completion.tokenRange)) }
      let model = try LanguageModel(
        setup.fixture.configuration,
        capacity: UnitCapacity(tokens: unit.tokens.count, predictions: unit.targets.count, sequence: 64), trains: true)
      model.differentiate(unit, parameters: parameters.view, gradients: gradients.view) { group in
        let logps = unit.completions.enumerated().map { offset, span in
          CompletionLogProbability(
            policy: model.logProbability(of: span), reference: setup.data.reference[record.firstCompletion + offset],
            tokens: span.tokenCount)
        }
        var derivatives = logps.map { _ in 0.0 }
        _ = objective.evaluate(ObjectiveGroup(completions: logps, softLabel: record.q), derivatives: &derivatives)
        for (derivative, span) in zip(derivatives, unit.completions) {
          for row in span.rows { model.tokenDerivatives.base[row] = Float(derivative) }
        }
      }
      for i in sum.indices { sum[i] += record.weight * Double(gradients.view.base[i]) }
      let amount = type(of: objective).normalizationUnit == .tokens ? Double(completions[0].length) : 1
      normalizer += amount * (setup.configuration.normalization == .weight ? record.weight : 1)
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
    let trainer = try setup.trainer()
    let before = trainer.parameters.values
    _ = fault(.data) { _ = try trainer.step(0, trainer.plan([0, 1], of: setup.data), of: setup.data) }
    #expect(trainer.parameters.values == before)
  }

  /// The message of a step that must fail and leave the parameters alone.
  private func failingStep(_ setup: Setup, _ batch: [Int], _ prepare: (Trainer) -> Void = { _ in }) throws -> String {
    let trainer = try setup.trainer()
    prepare(trainer)
    let before = trainer.parameters.values.map(\.bitPattern)
    let message = fault(.nonFinite) { _ = try trainer.step(0, trainer.plan(batch, of: setup.data), of: setup.data) }
    #expect(trainer.parameters.values.map(\.bitPattern) == before)
    return message
  }

  @Test func aLossThatIsNotFiniteNamesItsExample() throws {
    let setup = try Setup("llama-gqa")
    let message = try failingStep(setup, [7]) { trainer in
      for i in 0..<trainer.parameters.count { trainer.parameters.view.base[i] = .nan }
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
