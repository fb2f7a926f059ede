import AlignmentCore
import Collectives
import Kernels
import PreferenceData
import SyntheticWorld
import Training
import Transformer

/// The language models of the policy experiments, made once: one that speaks like both domains of the synthetic world, and
/// what became of it on the texts of each.
package final class PolicyModels {
  /// How much is trained; what is smaller is for tests.
  package struct Scale: Sendable, Equatable {
    package var hiddenSize = 64
    package var layers = 4
    package var pretrainingSteps = 300
    package var finetuningSteps = 60
    package init() {}
  }

  package let source: ModelSource
  /// Frozen: features of responses are its hidden states.
  package let base: FloatBuffer
  private let sourceSpeaker: FloatBuffer
  private let targetSpeaker: FloatBuffer
  private let sampling: SamplingPass

  /// The longest response is 64 bytes and the end.
  static let longestResponse = 65
  private static let unitTokens = 2048

  package init(_ scale: Scale = Scale(), seed: UInt64 = 0) throws {
    let recipe = """
      run: none
      model:
        initialize: {hidden_size: \(scale.hiddenSize), intermediate_size: \(3 * scale.hiddenSize), \
      layers: \(scale.layers), heads: 4, context: 128}
      data: {train: none}
      """
    source = try ModelSource(RunConfiguration(recipe: recipe, path: "experiment", overrides: []).model)
    sampling = SamplingPass(source.configuration, over: LocalCommunicator())
    let layout = ParameterLayout(source.configuration)
    let start = try FloatBuffer(count: layout.count, purpose: "parameters")
    try source.loadParameters(layout, into: start.view)
    let world = SyntheticWorld(seed: seed)
    let texts = try SyntheticWorld.Domain.allCases.map { [source] domain in
      try ModelLessons.speech(of: domain, in: world, count: 64 * scale.pretrainingSteps / 2, source)
    }
    var both = ModelLessons()
    both.examples = zip(texts[0].examples, texts[1].examples).flatMap { [$0, $1] }
    let pretraining = ModelTraining("name: sft", steps: scale.pretrainingSteps, learningRate: 4e-3, seed: seed)
    let base = try pretraining.train(start, of: source, on: both)
    self.base = base
    let speakers = try texts.map { [source] in
      try ModelTraining("name: sft", steps: scale.finetuningSteps, learningRate: 1e-3, seed: seed)
        .train(base, of: source, on: $0)
    }
    (sourceSpeaker, targetSpeaker) = (speakers[0], speakers[1])
  }

  /// The generator of a domain at a strength of shift: base + κ·(fine-tuned − base).
  package func generator(_ domain: SyntheticWorld.Domain, shift: Double) throws -> FloatBuffer {
    let speaker = domain == .source ? sourceSpeaker : targetSpeaker
    let result = try FloatBuffer(count: base.count, purpose: "generator")
    Elementwise.scale(base.view, by: Float(1 - shift), into: result.view)
    Elementwise.addScaled(speaker.view.base, by: Float(shift), into: result.view.base, count: result.count)
    return result
  }

  /// Tokens of a prompt.
  func tokens(_ prompt: String) throws -> [Int32] {
    try source.tokenizer.encode(Array(prompt.utf8), addSpecialTokens: true)
  }

  /// Responses of a policy to prompts, `samples` to each.
  package func responses(
    to prompts: [String], numbers: [Int], samples: Int, by policy: FloatBuffer, seed: UInt64
  ) throws -> PolicyResponses {
    var settings = SamplingSettings(seed: seed, maxNewTokens: Self.longestResponse)
    settings.samples = samples
    settings.stopTokens = source.stopTokens
    let tokens = try prompts.map(self.tokens)
    let drawn = try sampling.draw(tokens, identities: numbers, parameters: policy.view, settings)
    var responses = PolicyResponses(samplesPerPrompt: samples, promptNumbers: numbers, prompts: tokens)
    for (prompt, samples) in zip(prompts, drawn) {
      for sample in samples {
        let text = String(decoding: try source.tokenizer.decode(sample.ids, skipSpecialTokens: true), as: UTF8.self)
        responses.append(
          sample.ids, logProbability: sample.logProbability,
          reward: SyntheticWorld.goldReward(prompt: prompt, response: text))
      }
    }
    return responses
  }

  /// Log-probability of each response under a policy.
  package func logProbabilities(of responses: PolicyResponses, under policy: FloatBuffer) throws -> [Double] {
    let dataset = try responses.dataset
    let model = try LanguageModel(
      source.configuration, capacity: UnitCapacity(unitTokens: Self.unitTokens, datasets: [dataset]), trained: nil)
    return try ScoringPass(
      model, parameters: policy, dataset: dataset, unitTokens: Self.unitTokens, over: LocalCommunicator()
    ).completionOutputs()
  }

  /// The features that `adalign weigh` computes, of several sets of responses together.
  func features(of sets: [PolicyResponses], components: Int) throws -> (names: [String], rows: [[Float]]) {
    let domains = try sets.map {
      FeaturePass.Responses(dataset: try $0.dataset, newlines: [Int](repeating: 0, count: $0.count))
    }
    let found = try FeaturePass(
      domains, source.configuration, parameters: base, unitTokens: Self.unitTokens, components: components,
      over: LocalCommunicator()
    ).run()
    return (found.names, found.findings.map(\.features))
  }
}

extension ModelLessons {
  /// What a domain's speaker says to its prompts.
  fileprivate static func speech(
    of domain: SyntheticWorld.Domain, in world: SyntheticWorld, count: Int, _ source: ModelSource
  ) throws -> ModelLessons {
    let prompts = (0..<count).map { world.prompt($0, split: .sft, domain: domain) }
    let texts = prompts.enumerated().map {
      world.response(to: $1, index: $0, sample: 0, split: .sft, domain: domain)
    }
    return ModelLessons(
      prompts: try prompts.map { try source.tokenizer.encode(Array($0.utf8), addSpecialTokens: true) },
      completions: try texts.map {
        try source.tokenizer.encode(Array($0.utf8), addSpecialTokens: false) + [source.endOfSequence]
      })
  }
}

/// Responses to prompts and their gold rewards; response i is to prompt i / samples.
package struct PolicyResponses: Sendable {
  package let samplesPerPrompt: Int
  /// What each prompt is called across sets of responses.
  package let promptNumbers: [Int]
  let prompts: [[Int32]]
  package private(set) var tokens: [[Int32]] = []
  /// Under the policy that drew them, in nats.
  package private(set) var logProbabilities: [Double] = []
  package private(set) var rewards: [Double] = []

  init(samplesPerPrompt: Int, promptNumbers: [Int], prompts: [[Int32]]) {
    (self.samplesPerPrompt, self.promptNumbers, self.prompts) = (samplesPerPrompt, promptNumbers, prompts)
  }

  mutating func append(_ ids: [Int32], logProbability: Double, reward: Double) {
    tokens.append(ids)
    logProbabilities.append(logProbability)
    rewards.append(reward)
  }

  package var count: Int { tokens.count }
  package var pairCount: Int { count / 2 }

  /// Gold reward of response 2i less that of response 2i + 1: of pair i.
  package var rewardGaps: [Double] { pairGaps(rewards) }

  /// Tokens of the prompt of a pair.
  func prompt(ofPair pair: Int) -> [Int32] { prompts[2 * pair / samplesPerPrompt] }

  /// One example for each prompt.
  var dataset: TokenizedDataset {
    get throws {
      var lessons = ModelLessons()
      lessons.examples = prompts.indices.map { prompt in
        let own = tokens[prompt * samplesPerPrompt..<(prompt + 1) * samplesPerPrompt]
        return EncodedExample(prompt: prompts[prompt], completions: own.map { .init(tokens: $0, role: .sample) })
      }
      return try lessons.dataset(cache: CacheDirectory.byDefault, over: LocalCommunicator())
    }
  }
}
