import AlignmentCore
import Collectives
import Objectives
import PreferenceData
import Testing
import Training
import Transformer

/// What single methods of training do in a step, against arithmetic beside them.
@Suite struct MethodTests {
  // Log-probabilities near 100 in Float32, and their means.
  static let tolerance = 1e-5

  // MARK: KTO

  /// log π of a completion behind a prompt, computed alone.
  private func logProbability(
    _ setup: TrainerSetup, _ parameters: FloatBuffer, _ prompt: Int, _ completion: Int
  ) throws -> Double {
    let data = setup.dataset
    var unit = WorkUnit()
    unit.beginGroup(example: 0, slot: 0, prompt: data.promptTokens(of: data.example(prompt)))
    unit.addCompletion(data.tokens(data.completion(0, of: data.example(completion)).tokenRange))
    let capacity = UnitCapacity(tokens: unit.tokens.count, predictions: unit.targets.count, sequence: 64)
    let model = try LanguageModel(setup.fixture.configuration, capacity: capacity, trained: nil)
    model.score(unit, parameters: parameters.view)
    return model.output(of: unit.completions[0])
  }

  // The examples of a pair share their prompt, so partners are two places on.
  @Test(arguments: [[0, 2, 4, 7, 9], [0, 1, 2, 3, 4, 5, 6, 7], [3, 8]], [[], ["lora.rank=2"]])
  func ktoComparesWithTheMeanOfMismatchedCompletions(batch: [Int], settings: [String]) throws {
    let setup = try TrainerSetup("llama-gqa", ["objective.name=kto"] + settings)
    let (trainer, task) = (try setup.trainer(), try setup.preferenceTask())
    // A policy that differs from its reference, in the direction in which the estimate is not 0.
    let isAdapted = trainer.weights.reference == nil
    let reference = try FloatBuffer(count: trainer.model.layout.count, purpose: "test")
    try setup.fixture.load(into: reference.view)
    var estimate = 0.0
    for seed in 2...9 where estimate <= 0 {
      let parameters = trainer.weights.model.view
      for i in 0..<parameters.count { parameters.base[i] = reference.view.base[i] + 0.01 * Float(i * seed % 11 - 5) }
      if let live = trainer.weights.reference { for i in 0..<live.count { live.view.base[i] = reference.view.base[i] } }
      let data = setup.dataset
      let partner = { (slot: Int) in
        (1..<batch.count).map { batch[(slot + $0) % batch.count] }.first {
          !data.promptTokens(of: data.example($0)).elementsEqual(data.promptTokens(of: data.example(batch[slot])))
        }
      }
      let ratios = try batch.indices.map { slot -> Double in
        let other = try #require(partner(slot))
        return try logProbability(setup, trainer.weights.model, batch[slot], other)
          - logProbability(setup, reference, batch[slot], other)
      }
      let weights = batch.map { data.example($0).weight }
      estimate = zip(weights, ratios).reduce(0) { $0 + $1.0 * $1.1 } / weights.reduce(0, +)
    }
    try #require(estimate > 0)
    _ = try trainer.step(0, trainer.plan(batch, of: task), of: task)
    let found = try #require(task.loss.objective.metrics.first { $0.name == "kl" }).value
    #expect(abs(found - estimate) <= Self.tolerance * max(1, estimate), "\(found), \(estimate)")
    #expect(isAdapted == !settings.isEmpty)
  }

  // A batch of one prompt has no other prompt's completion; the estimate is then 0.
  @Test func ktoOfASinglePromptComparesWithNothing() throws {
    let setup = try TrainerSetup("llama-gqa", ["objective.name=kto"])
    let (trainer, task) = (try setup.trainer(), try setup.preferenceTask())
    for batch in [[0, 1], [4]] {
      let result = try trainer.step(0, trainer.plan(batch, of: task), of: task)
      #expect(result.gradientNorm > 0 && task.loss.objective.metrics.map(\.value) == [0])
    }
  }

  // MARK: A reference that moves

  @Test(arguments: [(2, 0.25), (1, 1.0), (3, 0.6)])
  func theReferenceMovesTowardsThePolicy(every: Int, mixup: Double) throws {
    let setup = try TrainerSetup(
      "llama-gqa", ["objective.reference_sync=\(every)", "objective.reference_mixup=\(mixup)"])
    let (trainer, task) = (try setup.trainer(), try setup.task())
    let reference = try #require(trainer.weights.reference)
    for step in 0..<4 {
      let (before, policy) = (reference.values, trainer.weights.model.values)
      _ = try trainer.step(step, trainer.plan([step, 5, 7], of: task), of: task)
      let moves = (step + 1) % every == 0
      for (index, value) in reference.values.enumerated() {
        let mixed = (1 - mixup) * Double(before[index]) + mixup * Double(policy[index])
        let expected = moves ? mixed : Double(before[index])
        // Two Float32 roundings; a whole move is exact.
        let error = moves && mixup < 1 ? 2e-7 * max(1e-3, abs(expected)) : 0
        try #require(abs(Double(value) - expected) <= error, "step \(step), \(index)")
      }
    }
    #expect(reference.values != trainer.weights.model.values)
  }

  // MARK: Groups of parameters

  /// The norms of what a step of plain gradient descent moved, in the decoder and in the head.
  private func moves(_ settings: [String]) throws -> (decoder: Double, head: Double, gradient: Double) {
    let setup = try TrainerSetup(
      "qwen2", ["objective.name=bradley_terry", "optimizer.name=sgd", "optimizer.learning_rate=1"] + settings)
    let (trainer, task) = (try setup.trainer(), try setup.task())
    let before = trainer.weights.trained.values
    let result = try trainer.step(0, trainer.plan([0, 1, 2, 3], of: task), of: task)
    let after = trainer.weights.trained.values
    var squares = (decoder: 0.0, head: 0.0)
    for tensor in trainer.model.trained.tensors {
      let sum = tensor.range.reduce(0.0) {
        $0 + (Double(after[$1]) - Double(before[$1])) * (Double(after[$1]) - Double(before[$1]))
      }
      if tensor.belongsToScalarHead { squares.head += sum } else { squares.decoder += sum }
    }
    return (squares.decoder.squareRoot(), squares.head.squareRoot(), result.gradientNorm)
  }

  // Moves of about 10⁻² of parameters near 0.1, each rounded to 10⁻⁸.
  static let moveTolerance = 1e-4

  private func isNear(_ a: Double, _ b: Double) -> Bool { abs(a / b - 1) <= Self.moveTolerance }

  @Test func withoutALimitTheHeadMovesByItsOwnLearningRate() throws {
    let plain = try moves(["optimizer.max_grad_norm=0"])
    #expect(isNear(plain.gradient, (plain.decoder * plain.decoder + plain.head * plain.head).squareRoot()))
    let faster = try moves(["optimizer.max_grad_norm=0", "optimizer.head.learning_rate=3"])
    #expect(isNear(faster.head, 3 * plain.head) && isNear(faster.decoder, plain.decoder))
    let still = try moves(["optimizer.max_grad_norm=0", "optimizer.head.learning_rate=0"])
    #expect(still.head == 0 && isNear(still.decoder, plain.decoder))
  }

  @Test func aLimitOfItsOwnClipsTheHeadAlone() throws {
    let plain = try moves(["optimizer.max_grad_norm=0"])
    let together = try moves(["optimizer.max_grad_norm=0.02"])
    #expect(isNear(together.decoder / together.head, plain.decoder / plain.head))
    #expect(isNear((together.decoder * together.decoder + together.head * together.head).squareRoot(), 0.02))
    #expect(isNear(together.gradient, plain.gradient))
    let apart = try moves(["optimizer.max_grad_norm=0.02", "optimizer.head.max_grad_norm=0.03"])
    #expect(isNear(apart.decoder, 0.02) && isNear(apart.head, 0.03))
    let headOnly = try moves(["optimizer.max_grad_norm=0", "optimizer.head.max_grad_norm=0.03"])
    #expect(isNear(headOnly.decoder, plain.decoder) && isNear(headOnly.head, 0.03))
  }

  // w ← w − η·(g + λw) in the head, g as without decay.
  @Test func theHeadDecaysByItself() throws {
    let plain = try moves(["optimizer.max_grad_norm=0"])
    let decayed = try moves(["optimizer.max_grad_norm=0", "optimizer.head.weight_decay=0.5"])
    #expect(isNear(decayed.decoder, plain.decoder) && !isNear(decayed.head, plain.head))
  }
}

/// Running statistics of rewards.
@Suite struct RewardShapingTests {
  // A few operations in Float64.
  static let rounding = 1e-12

  private func settings(_ overrides: String...) throws -> RunConfiguration.RewardSettings {
    try #require(configuration(["objective.name=grpo", "reward.name=gold"] + overrides).policy).rewards
  }

  private static let rollouts: [[Double]] = [[1, 4, -2, 0.5], [3, 3, 8], [-5, 0, 2, 7, 1]]

  @Test func rewardsAreDividedByTheDeviationOfAllSoFar() throws {
    var shaping = RewardShaping(try settings("reward.normalize=true"))
    var all: [Double] = []
    for rewards in Self.rollouts {
      all += rewards
      let mean = all.reduce(0, +) / Double(all.count)
      let deviation = (all.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(all.count - 1)).squareRoot()
      let found = shaping.shape(rewards, isFinished: rewards.map { _ in true })
      for (a, b) in zip(found, rewards) { #expect(abs(a - b / deviation) <= Self.rounding * max(1, abs(b))) }
    }
  }

  // Whether a run goes on or begins again inside of a rollout, from the state of a checkpoint.
  @Test(arguments: [0, 1, 2])
  func resumingDoesNotCountTwice(rollout: Int) throws {
    let settings = try settings("reward.normalize=true", "reward.clip=1.5", "reward.missing_eos_penalty=0.5")
    let finished = Self.rollouts.map { rewards in rewards.indices.map { $0 % 2 == 0 } }
    var whole = RewardShaping(settings)
    let expected = Self.rollouts.indices.map { whole.shape(Self.rollouts[$0], isFinished: finished[$0]) }
    var before = RewardShaping(settings)
    for index in 0...rollout { _ = before.shape(Self.rollouts[index], isFinished: finished[index]) }
    var after = RewardShaping(settings)
    after.state = before.state
    #expect(after.reshape(Self.rollouts[rollout], isFinished: finished[rollout]) == expected[rollout])
    for index in rollout + 1..<max(rollout + 1, 3) {
      #expect(after.shape(Self.rollouts[index], isFinished: finished[index]) == expected[index])
    }
    #expect(after.state == whole.state || rollout < 2)
  }

  @Test func unfinishedSamplesPayAndAllAreClippedLast() throws {
    var shaping = RewardShaping(try settings("reward.clip=2", "reward.missing_eos_penalty=1.5"))
    #expect(shaping.shape([3, 3, -1, 0], isFinished: [true, false, false, true]) == [2, 1.5, -2, 0])
  }

  @Test func aSingleRewardHasNoDeviation() throws {
    var shaping = RewardShaping(try settings("reward.normalize=true"))
    #expect(shaping.shape([3], isFinished: [true]) == [3])
    #expect(shaping.shape([3], isFinished: [true]) == [3])
  }
}
