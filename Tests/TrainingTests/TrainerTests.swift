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
  static let runs: [(String, [String])] = [
    ("llama-gqa", []), ("qwen3", ["objective.normalization=weight", "schedule.name=cosine"]),
    ("llama-biased", ["objective.name=sft", "optimizer.weight_decay=0.1"]),
    ("llama-gqa", ["optimizer.name=adafactor", "optimizer.beta1=0.9"]), ("qwen3", ["optimizer.name=lion"]),
    ("mistral", ["batch.unit_tokens=40"]),
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
    ("llama-gqa", ["objective.weighting=wpo"]),
    ("qwen3", ["objective.weighting=wpo", "objective.wpo_alignment=greedy", "objective.normalization=weight"]),
    ("mistral", ["objective.name=kto", "objective.weighting=wpo", "objective.wpo_alignment=plain"]),
    ("llama-gqa", ["objective.weighting=is_daa", "objective.ld_alpha=0.5", "objective.reference_sync=2"]),
    ("llama-gqa", dro + ["objective.weighting=wpo"]),
    ("llama-gqa", dro + ["objective.name=[cpo, bco_pair]", "objective.normalization=weight"]),
    ("qwen2", dro + ["objective.name=bradley_terry"]),
  ]
  private static let dro = [
    "objective.group_dro=true", "objective.group_dro_step=0.5", "objective.group_dro_adjustment=0.3",
  ]

  /// Adapters, heads with a learning rate of their own, and policies.
  static let methodRuns: [(String, [String])] = [
    ("llama-gqa", ["lora.rank=4"]), ("qwen3", ["lora.rank=2", "lora.target_modules=[q_proj, up_proj]"]),
    ("llama-gqa", ["objective.name=kto", "lora.rank=3"]),
    ("qwen2", ["objective.name=bradley_terry", "lora.rank=2", "optimizer.head.learning_rate=1e-2"]),
    (
      "llama-biased",
      gold + ["objective.name=ppo", "optimizer.head.learning_rate=1e-2", "optimizer.head.max_grad_norm=0.1"]
    ),
    ("mistral", gold + ["objective.name=ppo", "objective.detach_values=true", "lora.rank=2"]),
    ("qwen3", gold + ["objective.name=grpo", "objective.beta=0.1"]),
    ("llama-gqa", gold + ["objective.name=grpo", "objective.loss_type=sapo", "objective.importance_level=sequence"]),
    ("llama-gqa", gold + ["objective.name=rloo", "objective.epsilon=0.9"]),
    ("qwen2", gold + ["objective.name=reinforce++", "optimizer.name=adafactor"]),
  ]
  private static let gold = ["reward.name=gold"]

  @Test(arguments: runs + coupledRuns + methodRuns)
  func anyNumberOfRanksGivesTheSameBits(model: String, settings: [String]) throws {
    let setup = try TrainerSetup(model, settings)
    let alone = try setup.train()
    #expect(alone.norms.allSatisfy { $0 > 0 && $0.isFinite })
    for ranks in 2...5 {
      for outcome in try LocalCommunicator.run(ranks: ranks, { try setup.train(over: $0) }) {
        #expect(outcome == alone, "\(ranks) ranks")
      }
    }
  }

  @Test(arguments: [runs[0], runs[3]] + coupledRuns + methodRuns, [(1, 3), (3, 2), (4, 1)])
  func savingAndLoadingChangesNothing(run: (model: String, settings: [String]), ranks: (before: Int, after: Int)) throws
  {
    let setup = try TrainerSetup(run.model, run.settings)
    let whole = try setup.train()
    _ = try LocalCommunicator.run(ranks: ranks.before) { try setup.trainAndSave(steps: 2, over: $0) }
    for outcome in try LocalCommunicator.run(ranks: ranks.after, { try setup.resume(over: $0) }) {
      var expected = whole
      expected.norms = Array(whole.norms[2...])
      #expect(outcome == expected)
    }
  }

  /// Untied and tied embeddings, adapters, heads, means of all gradients, and a reference that follows.
  static let exchanges: [(String, [String])] = [
    runs[0], runs[1], runs[3], ("qwen3", ["lora.rank=2"]), ("qwen2", ["objective.name=bradley_terry"]),
    ("llama-gqa", ["objective.reference_sync=2"]), ("llama-biased", gold + ["objective.name=ppo"]),
  ]

  // Buckets of one block, so that the small models have more than one.
  @Test(arguments: exchanges, ["overlapped", "ring", "allreduce"])
  func everyKindOfCommunicationGivesTheSameBits(run: (model: String, settings: [String]), mode: String) throws {
    let setup = try TrainerSetup(run.model, run.settings + ["communication=\(mode)"])
    let alone = try setup.train()
    for ranks in 2...5 {
      for outcome in try LocalCommunicator.run(ranks: ranks, { try setup.train(bucketBlocks: 1, over: $0) }) {
        #expect(outcome == alone, "\(ranks) ranks")
      }
    }
  }

  // Saved in buckets of one block, which shards of other sizes must find again.
  @Test(arguments: [exchanges[0], exchanges[2]], [(1, 3), (3, 2), (4, 1)])
  func stateIsFoundInShardsOfOtherBuckets(run: (model: String, settings: [String]), ranks: (before: Int, after: Int))
    throws
  {
    let setup = try TrainerSetup(run.model, run.settings)
    let whole = try setup.train()
    _ = try LocalCommunicator.run(ranks: ranks.before) {
      try setup.trainAndSave(steps: 2, bucketBlocks: 1, over: $0)
    }
    for outcome in try LocalCommunicator.run(ranks: ranks.after, { try setup.resume(over: $0) }) {
      #expect(outcome.parameters == whole.parameters && outcome.norms == Array(whole.norms[2...]))
    }
  }

  @Test(arguments: runs)
  func fastSumsAreTheSameOnEveryRank(model: String, settings: [String]) throws {
    let setup = try TrainerSetup(model, settings + ["reduction=fast"])
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
    let setup = try TrainerSetup(model, settings)
    let (trainer, task) = (try setup.trainer(), try setup.task())
    let batch = [3, 1, 4, 7, 0]
    let result = try trainer.step(0, trainer.plan(batch, of: task), of: task)
    let expected = try gradientNorm(setup, batch)
    #expect(abs(result.gradientNorm / expected - 1) <= Self.gradientTolerance)
    #expect(result.learningRate == 1e-3 && !result.isStopping)
  }

  /// The norm of Σ w·∂loss / normaliser over a batch, one example after the other, summed in Float64.
  private func gradientNorm(_ setup: TrainerSetup, _ batch: [Int]) throws -> Double {
    let (dataset, objective) = (setup.dataset, try setup.configuration.preferenceLoss.objective)
    let reference = try setup.preferenceTask().data.reference.sums
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
    let plain = try TrainerSetup("llama-gqa", settings).train()
    let scaled = try TrainerSetup("llama-gqa", settings, weight: { factor * (0.5 + 0.25 * Double($0 % 4)) }).train()
    if factor.significand == 1 { #expect(scaled.parameters == plain.parameters) }
    for (a, b) in zip(scaled.norms, plain.norms) { #expect(abs(a / b - 1) <= Self.gradientTolerance) }
  }

  // Far outside that range a batch is refused instead of being summed wrongly.
  @Test(arguments: [1e-25, 1e-60, 1e-300, 1e30])
  func weightsThatCannotBeSummedAreRefused(factor: Double) throws {
    let setup = try TrainerSetup("llama-gqa", ["objective.normalization=weight"], weight: { _ in factor })
    let (trainer, task) = (try setup.trainer(), try setup.task())
    let before = trainer.weights.trained.values
    _ = fault(.data) { _ = try trainer.step(0, trainer.plan([0, 1], of: task), of: task) }
    #expect(trainer.weights.trained.values == before)
  }

  /// The message of a step that must fail and leave the parameters alone.
  private func failingStep(_ setup: TrainerSetup, _ batch: [Int], _ prepare: (Trainer) -> Void = { _ in }) throws
    -> String
  {
    let (trainer, task) = (try setup.trainer(), try setup.task())
    prepare(trainer)
    let before = trainer.weights.trained.values.map(\.bitPattern)
    let message = fault(.nonFinite) { _ = try trainer.step(0, trainer.plan(batch, of: task), of: task) }
    #expect(trainer.weights.trained.values.map(\.bitPattern) == before)
    return message
  }

  @Test func aLossThatIsNotFiniteNamesItsExample() throws {
    let setup = try TrainerSetup("llama-gqa")
    let message = try failingStep(setup, [7]) { trainer in
      for i in 0..<trainer.weights.trained.count { trainer.weights.trained.view.base[i] = .nan }
    }
    #expect(message.contains("example 7"), "\(message)")
  }

  @Test(arguments: ["exact", "fast"])
  func aGradientThatIsNotFiniteNamesItsTensor(reduction: String) throws {
    // A weight whose loss is finite in Float64 and whose derivative is not in Float32.
    let setup = try TrainerSetup("llama-sharded-v4", ["reduction=\(reduction)"], weight: { $0 == 4 ? 1e40 : 1 })
    let message = try failingStep(setup, [4])
    #expect(message.contains("not finite") && message.contains("examples 4"), "\(message)")
    #expect(setup.fixture.layout.tensors.contains { message.contains($0.name) }, "\(message)")
  }

  @Test func aGradientTooLargeForExactSumsNamesItsTensor() throws {
    let setup = try TrainerSetup("llama-gqa", weight: { $0 == 4 ? 1e9 : 1 })
    let message = try failingStep(setup, [4, 5])
    #expect(message.contains("too large") && message.contains("examples 4"), "\(message)")
    #expect(setup.fixture.layout.tensors.contains { message.contains($0.name) }, "\(message)")
  }
}

extension FloatBuffer {
  var values: [Float] { Array(UnsafeBufferPointer(start: view.base, count: count)) }
}
