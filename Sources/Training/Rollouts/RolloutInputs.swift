import AlignmentCore
import Checkpoints
import Collectives
import Logging
import Objectives
import PreferenceData
import Transformer

/// What a run of policy optimisation starts from: prompts or stored samples, checked before anything is computed.
struct RolloutInputs {
  /// Bounds of the groups of a rollout, in tokens and completions.
  struct Limits {
    var group = 0
    var sequence = 0
    var completions = 0
    var shortestPrompt = Int.max
    /// Prompts of a rollout.
    var prompts = 1

    /// Room for any unit of samples. A sample of n tokens has n predictions and n − 1 inputs, so a unit has as many more
    /// predictions than tokens as it has samples.
    func capacity(unitTokens: Int) -> UnitCapacity {
      let tokens = max(unitTokens, group)
      let groups = min(prompts, max(1, unitTokens / shortestPrompt))
      return UnitCapacity(tokens: tokens, predictions: tokens + groups * completions, sequence: sequence)
    }
  }

  /// The recipe's settings with what follows from others filled in.
  let settings: RunConfiguration.PolicySettings
  let material: RolloutMaterial
  let evaluationPrompts: [PromptText]
  /// The reference, where it must be in memory.
  let reference: ModelSource?
  /// The model that gives rewards, where one does.
  let rewardModel: ModelSource?
  let totalSteps: Int
  let limits: Limits
  let continuationSettings: [(key: String, value: String)]

  init(
    _ configuration: RunConfiguration, _ given: RunConfiguration.PolicySettings, source: ModelSource,
    over communicator: any Communicator
  ) throws {
    var settings = given
    if settings.rollout.prompts == 0 { settings.rollout.prompts = configuration.batch.size }
    self.settings = settings
    try Self.check(settings, configuration)
    let reader = PromptReader(source: source, data: configuration.data)
    evaluationPrompts = try configuration.data.evaluation.flatMap(reader.read)
    let isStored = settings.rollout.source == .data
    let prompts = isStored ? [] : try configuration.data.train.flatMap(reader.read)
    let dataset = isStored ? try Self.stored(configuration, source, over: communicator) : nil
    try dataset?.check(for: settings)
    let digest = dataset?.digest ?? PromptReader.digest(prompts + evaluationPrompts)
    try PreparedData.agree(at: "data.train", over: communicator) { digest }
    reference = try Self.reference(configuration, settings, source, over: communicator)
    limits = Self.limits(prompts + evaluationPrompts, dataset, settings.rollout, source)
    rewardModel = try settings.rewards.model.map { try ModelSource(.directory($0)).agreed(over: communicator) }
    if let rewardModel, let directory = settings.rewards.model {
      try RewardScorer.check(
        rewardModel, directory, policy: source, longest: min(limits.sequence + 1, source.configuration.contextLength))
    }
    let fixed = RunInputs.continuationSettings(
      configuration, model: source.digest, reference: reference?.digest ?? "none", data: digest)
    continuationSettings = fixed + (rewardModel.map { [("digest of the reward model", $0.digest)] } ?? [])
    material = RolloutMaterial(prompts: prompts, dataset: dataset, digest: Self.digest(continuationSettings))
    totalSteps = Self.steps(configuration, settings.rollout, count: material.count)
  }

  private static func check(_ settings: RunConfiguration.PolicySettings, _ configuration: RunConfiguration) throws {
    guard configuration.data.weights == nil else {
      throw Fault(
        .configuration, "policy optimisation learns from samples, which have no weights", at: "data.weights",
        hint: "leave it out, or use an objective on preferences or for reward models")
    }
    let (prompts, batch) = (settings.rollout.prompts, configuration.batch.size)
    guard prompts % batch == 0 else {
      throw Fault(
        .configuration, "\(prompts) prompts do not divide into batches of \(batch)", at: "rollout.prompts",
        hint: "use a multiple of batch.size, which counts prompts")
    }
    let hasReference = settings.objective.needsReference || settings.rollout.source == .data
    guard configuration.referenceSync.every == 0 || hasReference else {
      throw Fault(
        .configuration, "the objective has no reference", at: "objective.reference_sync",
        hint: "leave it out, or give the divergence a weight")
    }
    guard configuration.data.evaluation.isEmpty || !settings.rewards.needsJudgedData else {
      throw Fault(
        .configuration, "samples of held-out prompts have neither labels nor scores", at: "data.eval",
        hint: "leave it out, or use a reward that can judge samples")
    }
  }

  private static func stored(
    _ configuration: RunConfiguration, _ source: ModelSource, over communicator: any Communicator
  ) throws -> TokenizedDataset {
    var options = EncodingOptions(configuration.data, for: .pair, source: source)
    options.selection = .all
    return try PreparedData.open(
      configuration.data.train, source: source, options: options, cache: configuration.cache, over: communicator)
  }

  /// The reference where the objective asks for it, or where it stands for the policy that wrote the data.
  private static func reference(
    _ configuration: RunConfiguration, _ settings: RunConfiguration.PolicySettings, _ source: ModelSource,
    over communicator: any Communicator
  ) throws -> ModelSource? {
    guard settings.objective.needsReference || settings.rollout.source == .data else { return nil }
    let reference =
      try configuration.reference.map { try ModelSource(.directory($0)).agreed(over: communicator) } ?? source
    guard reference.configuration == source.configuration else {
      throw Fault(
        .configuration, "the reference is computed beside the policy and must have its shape",
        at: configuration.reference ?? "", hint: "use a reference of the same shape")
    }
    return reference
  }

  private static func digest(_ settings: [(key: String, value: String)]) -> String {
    let hash = SHA256()
    for setting in settings { hash.update(field: "\(setting.key)=\(setting.value)") }
    return hash.finish().hex
  }

  static func limits(
    _ prompts: [PromptText], _ dataset: TokenizedDataset?, _ rollout: RunConfiguration.RolloutSettings,
    _ source: ModelSource
  ) -> Limits {
    var limits = Limits(prompts: rollout.prompts)
    if let dataset {
      limits.group = dataset.maximumGroupTokens
      limits.sequence = dataset.maximumSequenceTokens
      for index in 0..<dataset.count {
        let record = dataset.example(index)
        limits.completions = max(limits.completions, record.completionCount)
        limits.shortestPrompt = min(limits.shortestPrompt, record.promptLength)
      }
    }
    let samples = rollout.sampling.samples
    for prompt in prompts {
      let length = min(source.configuration.contextLength - prompt.tokens.count, rollout.sampling.maxNewTokens)
      limits.sequence = max(limits.sequence, prompt.tokens.count + length)
      limits.group = max(limits.group, prompt.tokens.count + samples * length)
      limits.completions = max(limits.completions, samples)
      limits.shortestPrompt = min(limits.shortestPrompt, prompt.tokens.count)
    }
    return limits
  }

  static func steps(
    _ configuration: RunConfiguration, _ rollout: RunConfiguration.RolloutSettings, count: Int
  ) -> Int {
    switch configuration.length {
    case .steps(let steps): return steps
    case .epochs(let epochs):
      let rollouts = BatchStream.steps(epochs: epochs, count: count, batch: rollout.prompts)
      return rollouts * rollout.epochs * rollout.prompts / configuration.batch.size
    }
  }
}

extension TokenizedDataset {
  /// Refuses stored samples that the objective or the reward can do nothing with.
  fileprivate func check(for settings: RunConfiguration.PolicySettings) throws {
    let fewest = settings.objective.fewestSamples
    for index in 0..<count {
      let record = example(index)
      guard record.completionCount >= fewest else {
        throw fault(
          record, "has \(record.completionCount) completions, and \(type(of: settings.objective).name) compares them",
          hint: "give rows of \(fewest) completions or more, or use ppo or reinforce++")
      }
      let completions = (0..<record.completionCount).map { completion($0, of: record) }
      guard !settings.rewards.uses(.score) || completions.allSatisfy({ $0.score != nil }) else {
        throw fault(record, "has no scores", hint: "give 'completions' and 'scores', or use another reward")
      }
      guard !settings.rewards.uses(.label) || completions.allSatisfy({ $0.role != .sample }) else {
        throw fault(
          record, "says of no completion whether it is good",
          hint: "give 'chosen' and 'rejected', or use another reward: reward.name=score takes 'scores'")
      }
    }
  }

  private func fault(_ record: ExampleRecord, _ what: String, hint: String) -> Fault {
    Fault(.data, "row \(record.rowIndex) of the data \(what)", at: "data.train", hint: hint)
  }
}

/// A prompt as text and as tokens.
struct PromptText {
  let text: String
  let tokens: [Int32]
}

/// Reads prompts that leave room for samples.
struct PromptReader {
  let source: ModelSource
  let data: RunConfiguration.DataSettings

  /// The prompts of a file, cut to `data.max_prompt_length`; with `data.on_error=skip` those that do not fit are left out.
  func read(_ path: String) throws -> [PromptText] {
    try fitting(try PromptFile.read(path).map { ($0.text, $0.place) }, of: path)
  }

  /// The same of prompts that are no rows of a file.
  func fitting(_ prompts: [String]) throws -> [PromptText] {
    let place = "the prompts of the round"
    return try fitting(prompts.map { (Array($0.utf8), "prompt \"\($0.prefix(40))…\"") }, of: place)
  }

  private func fitting(_ given: [(text: [UInt8], place: String)], of origin: String) throws -> [PromptText] {
    var prompts: [PromptText] = []
    for (text, place) in given {
      let tokens = cut(try source.tokenizer.encode(text, addSpecialTokens: true))
      let fits = !tokens.isEmpty && tokens.count < source.configuration.contextLength
      guard fits || data.onError == .skip else { throw tooLong(tokens.count, place) }
      if fits { prompts.append(PromptText(text: String(decoding: text, as: UTF8.self), tokens: tokens)) }
    }
    let skipped = given.count - prompts.count
    if skipped > 0 { log.warning("\(origin): left out \(skipped) prompts without room for samples") }
    guard !prompts.isEmpty else {
      throw Fault(
        .data, "no prompt leaves room for samples", at: origin, hint: "set data.max_prompt_length to cut them")
    }
    return prompts
  }

  /// An over-long prompt keeps its beginning or, behind the first token, its end, as `data.keep_prompt` says.
  private func cut(_ tokens: [Int32]) -> [Int32] {
    guard let limit = data.maxPromptLength, tokens.count > limit else { return tokens }
    return data.keep == .start ? Array(tokens.prefix(limit)) : Array(tokens.prefix(1) + tokens.suffix(limit - 1))
  }

  private func tooLong(_ count: Int, _ place: String) -> Fault {
    Fault(
      .data, "the prompt has \(count) tokens, and the model's context is \(source.configuration.contextLength)",
      at: place, hint: "a prompt needs at least one token and room for another; see data.max_prompt_length")
  }

  static func digest(_ prompts: [PromptText]) -> String {
    let hash = SHA256()
    for prompt in prompts { hash.update(field: "\(prompt.tokens)") }
    return hash.finish().hex
  }
}
