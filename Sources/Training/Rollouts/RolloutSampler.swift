import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Objectives
import PreferenceData
import Rewards
import Transformer

/// What rollouts are made of: prompts, or stored samples.
struct RolloutMaterial {
  /// Prompts; empty where samples are stored.
  let prompts: [PromptText]
  /// Stored samples; nil where the policy draws them.
  let dataset: TokenizedDataset?
  /// What the first weights and all settings of the run come to.
  let digest: String

  var count: Int { dataset?.count ?? prompts.count }

  var description: String {
    dataset.map { "stored samples: \($0.report.summary)" } ?? "\(prompts.count) prompts"
  }

  /// What the samples of a rollout follow from, beside the steps before it.
  func key(rollout: Int) -> String {
    let hash = SHA256()
    for field in ["adalign rollout 1", digest, String(rollout)] { hash.update(field: field) }
    return hash.finish().hex
  }

  /// Examples of the stored samples.
  func stored(_ examples: [Int]) -> [EncodedExample] {
    guard let dataset else { preconditionFailure("there are no stored samples") }
    return examples.map(dataset.encoded)
  }
}

/// Draws samples with the trainer's weights, and reads them as texts.
final class RolloutSampler {
  private let source: ModelSource
  private let material: RolloutMaterial
  private let evaluationPrompts: [PromptText]
  private let trainer: Trainer
  private let pass: SamplingPass
  private let stops: StopStrings?
  private var settings: SamplingSettings
  private let seed: UInt64
  private let directory: String
  private let communicator: any Communicator

  init(
    _ configuration: RunConfiguration, _ rollout: RunConfiguration.RolloutSettings, source: ModelSource,
    material: RolloutMaterial, evaluationPrompts: [PromptText], trainer: Trainer, over communicator: any Communicator
  ) {
    self.source = source
    self.material = material
    self.evaluationPrompts = evaluationPrompts
    self.trainer = trainer
    settings = rollout.sampling
    settings.stopTokens = source.stopTokens
    seed = configuration.seed
    pass = SamplingPass(
      source.configuration, limits: SamplingLimits(sequences: rollout.unitSequences), over: communicator)
    stops = rollout.stops.isEmpty ? nil : StopStrings(rollout.stops, tokenizer: source.tokenizer)
    directory = "\(configuration.run)/evaluation"
    self.communicator = communicator
  }

  /// Stage 1: samples of some prompts. Each rollout has random numbers of its own.
  func draw(_ prompts: [Int], rollout: Int) throws -> [EncodedExample] {
    settings.seed = seed &+ UInt64(rollout) &* 0x9E37_79B9_7F4A_7C15
    return try examples(prompts.map { material.prompts[$0].tokens })
  }

  private func examples(_ prompts: [[Int32]]) throws -> [EncodedExample] {
    let samples = try pass.draw(prompts, parameters: trainer.weights.model.view, settings, stops: stops)
    return zip(prompts, samples).map { prompt, samples in
      EncodedExample(prompt: prompt, completions: samples.map { .init(tokens: $0.ids, role: .sample) })
    }
  }

  /// The samples as a reward model reads them: ended, even where the limit of length cut them.
  func ended(_ dataset: TokenizedDataset) -> [EncodedExample] {
    (0..<dataset.count).map { index in
      let record = dataset.example(index)
      let completions = (0..<record.completionCount).map { offset -> EncodedExample.Completion in
        let completion = dataset.completion(offset, of: record)
        let tokens = Array(dataset.tokens(completion.tokenRange))
        return .init(tokens: source.ended(tokens, promptLength: record.promptLength), role: completion.role)
      }
      return EncodedExample(prompt: Array(dataset.promptTokens(of: record)), completions: completions)
    }
  }

  /// Whether each sample ended by itself.
  func finished(_ dataset: TokenizedDataset) -> [Bool] {
    forEachSample(of: dataset) { prompt, tokens in
      let limit = min(settings.maxNewTokens, source.configuration.contextLength - prompt.count)
      return tokens.count < limit || tokens.last.map(settings.stopTokens.contains) ?? false
    }
  }

  /// The samples as texts.
  ///
  /// - Parameters:
  ///   - prompts: texts of the prompts; nil takes them from their tokens.
  func texts(of dataset: TokenizedDataset, prompts: [String]?) throws -> [JudgedSample] {
    let finished = finished(dataset)
    return try (0..<dataset.count).flatMap { index -> [JudgedSample] in
      let record = dataset.example(index)
      let prompt = try prompts?[index] ?? text(Array(dataset.promptTokens(of: record)))
      return try (0..<record.completionCount).map { offset in
        let tokens = Array(dataset.tokens(dataset.completion(offset, of: record).tokenRange))
        let isStop = tokens.last.map(settings.stopTokens.contains) ?? false
        return JudgedSample(
          prompt: prompt, response: try text(isStop ? tokens.dropLast() : tokens), tokens: tokens.count,
          isFinished: finished[record.firstCompletion + offset])
      }
    }
  }

  /// Texts of the prompts of a rollout, where it has them.
  func promptTexts(_ examples: [Int]) -> [String]? {
    material.prompts.isEmpty ? nil : examples.map { material.prompts[$0].text }
  }

  /// Samples with their rewards, for people.
  static func lines(_ samples: [JudgedSample], _ rewards: [Double]) -> [[UInt8]] {
    zip(samples, rewards).map { sample, reward in
      JSONValue.object(
        JSONObject([
          ("prompt", .string(ByteString(sample.prompt))), ("completion", .string(ByteString(sample.response))),
          ("reward", .double(reward)), ("tokens", .integer(Int64(sample.tokens))),
          ("finished", .bool(sample.isFinished)),
        ])
      ).serialized()
    }
  }

  /// The mean reward of one sample of each held-out prompt, drawn with the same random numbers each time.
  func evaluate(_ scorer: RewardScorer) throws -> StepMetrics? {
    guard !evaluationPrompts.isEmpty else { return nil }
    let training = settings
    defer { settings = training }
    settings.samples = 1
    settings.seed = seed &+ 0x5DEE_CE66
    let drawn = try examples(evaluationPrompts.map(\.tokens))
    let store = RolloutStore(directory: directory, communicator: communicator)
    let dataset = try store.samples(0, key: Self.digest(drawn), name: "samples") { drawn }
    let scored = try store.samples(0, key: dataset.digest, name: "scored") { ended(dataset) }
    let samples = try texts(of: dataset, prompts: evaluationPrompts.map(\.text))
    let rewards = try scorer.rewards(of: dataset, scored: scored) { samples }
    store.replace(0, name: "samples.jsonl", Self.lines(samples, rewards))
    let mean = rewards.reduce(0, +) / Double(rewards.count)
    return StepMetrics(
      loss: -mean, values: [("reward", mean)], examples: rewards.count, tokens: dataset.totalTokens,
      highlights: [("reward", mean)])
  }

  private static func digest(_ examples: [EncodedExample]) -> String {
    let hash = SHA256()
    for example in examples { hash.update(field: "\(example.prompt) \(example.completions.map(\.tokens))") }
    return hash.finish().hex
  }

  private func text(_ ids: [Int32]) throws -> String {
    String(decoding: try source.tokenizer.decode(ids, skipSpecialTokens: true), as: UTF8.self)
  }

  private func forEachSample<Result>(
    of dataset: TokenizedDataset, _ body: (_ prompt: UnsafeBufferPointer<Int32>, _ tokens: [Int32]) throws -> Result
  ) rethrows -> [Result] {
    try (0..<dataset.count).flatMap { index -> [Result] in
      let record = dataset.example(index)
      return try (0..<record.completionCount).map { offset in
        let completion = dataset.completion(offset, of: record)
        return try body(dataset.promptTokens(of: record), Array(dataset.tokens(completion.tokenRange)))
      }
    }
  }
}

extension TokenizedDataset {
  /// The tokens of an example, to be stored with others.
  func encoded(_ index: Int) -> EncodedExample {
    let record = example(index)
    let completions = (0..<record.completionCount).map { offset -> EncodedExample.Completion in
      let completion = completion(offset, of: record)
      return .init(tokens: Array(tokens(completion.tokenRange)), role: completion.role, score: completion.score)
    }
    return EncodedExample(prompt: Array(promptTokens(of: record)), completions: completions)
  }
}
