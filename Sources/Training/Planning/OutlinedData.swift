import AlignmentCore
import Collectives
import Objectives
import PreferenceData
import Transformer

/// Samples of the data of a run, as units are made of them, and what the method does with them.
struct OutlinedData {
  let head: ModelHead
  let groups: any PromptGroups
  /// Some batches of examples of ``groups``.
  let batches: [[Int]]
  let capacity: UnitCapacity
  let needsReference: Bool
  let sampling: SamplingOutline?
  let steps: Int
  let bytes: Int
  private let method: Method

  private enum Method {
    case preference(PreferenceTask)
    case policy(RunConfiguration.PolicySettings, RolloutInputs.Limits)
  }

  /// Batches that an average is taken over.
  private static let batchCount = 4

  init(_ configuration: RunConfiguration, _ source: ModelSource, _ directory: String) throws {
    switch configuration.method {
    case .preference(let loss): try self.init(configuration, loss, source, directory)
    case .policy(let settings): try self.init(configuration, settings, source, directory)
    }
  }

  /// Batches of the given examples, which are used again where they are too few.
  private static func batches(of examples: [Int], size: Int) -> [[Int]] {
    (0..<batchCount).map { batch in (0..<size).map { examples[(batch * size + $0) % examples.count] } }
  }

  private static func steps(_ configuration: RunConfiguration, examples: Int) -> Int {
    switch configuration.length {
    case .steps(let steps): steps
    case .epochs(let epochs): BatchStream.steps(epochs: epochs, count: examples, batch: configuration.batch.size)
    }
  }
}

// MARK: - Preferences

extension OutlinedData {
  private init(
    _ configuration: RunConfiguration, _ loss: PreferenceLoss, _ source: ModelSource, _ directory: String
  ) throws {
    let traits = loss.objective.traits
    head = try TrainingSetup.head(traits, source)
    let options = EncodingOptions(configuration.data, for: traits.groupKind, source: source)
    let open = { (files: [String], name: String) throws -> (TokenizedDataset, RowSample) in
      let sample = try RowSample(files, to: "\(directory)/\(name).jsonl")
      let dataset = try TokenizedDataset.prepare(
        files: [sample.path], encoder: source.tokenizer, encoderDigest: source.tokenizerDigest, options: options,
        cacheDirectory: directory
      ).dataset
      return (dataset, sample)
    }
    let (dataset, sample) = try open(configuration.data.train, "train")
    let evaluation = try configuration.data.evaluation.isEmpty ? nil : open(configuration.data.evaluation, "eval").0
    capacity = UnitCapacity(
      unitTokens: configuration.batch.unitTokens, datasets: [dataset, evaluation].compactMap(\.self),
      mixesPrompts: traits.survey == .mismatched, contextLength: source.configuration.contextLength)
    let task = PreferenceTask(
      loss, data: ObjectiveData(dataset: dataset, reference: .none), normalization: configuration.normalization,
      contextLength: source.configuration.contextLength, needsLiveReference: configuration.referenceSync.every > 0)
    method = .preference(task)
    groups = task.groups
    let even = (0..<dataset.count).filter { dataset.example($0).rowIndex < sample.evenCount }
    batches = Self.batches(of: even.isEmpty ? Array(0..<dataset.count) : even, size: configuration.batch.size)
    needsReference =
      traits.needsReference && (configuration.referenceSync.every > 0 || traits.survey == .mismatched)
    sampling = nil
    let examplesPerRow = Double(max(even.count, 1)) / Double(sample.evenCount)
    steps = Self.steps(configuration, examples: Int(examplesPerRow * Double(sample.rows)))
    bytes = Int(Double(4 * dataset.totalTokens) * Double(sample.bytes) / Double(max(sample.sampledBytes, 1)))
  }
}

// MARK: - Policy optimisation

extension OutlinedData {
  private init(
    _ configuration: RunConfiguration, _ given: RunConfiguration.PolicySettings, _ source: ModelSource,
    _ directory: String
  ) throws {
    var settings = given
    if settings.rollout.prompts == 0 { settings.rollout.prompts = configuration.batch.size }
    head = settings.objective.needsValues ? .languageModelWithValue : .languageModel
    needsReference = settings.objective.needsReference || settings.rollout.source == .data
    let sample = try RowSample(configuration.data.train, to: "\(directory)/train.jsonl")
    let dataset: TokenizedDataset
    let limits: RolloutInputs.Limits
    if settings.rollout.source == .data {
      var options = EncodingOptions(configuration.data, for: .pair, source: source)
      options.selection = .all
      dataset = try TokenizedDataset.prepare(
        files: [sample.path], encoder: source.tokenizer, encoderDigest: source.tokenizerDigest, options: options,
        cacheDirectory: directory
      ).dataset
      limits = RolloutInputs.limits([], dataset, settings.rollout, source)
      sampling = nil
    } else {
      let prompts = try PromptReader(source: source, data: configuration.data).read(sample.path)
      dataset = try Self.longestSamples(of: prompts, settings.rollout, source, "\(directory)/samples.bin")
      limits = RolloutInputs.limits(prompts, nil, settings.rollout, source)
      sampling = SamplingOutline(prompts.map(\.tokens), settings.rollout, source.configuration)
    }
    capacity = limits.capacity(unitTokens: configuration.batch.unitTokens)
    groups = dataset
    method = .policy(settings, limits)
    let even = Array(0..<min(dataset.count, sample.evenCount))
    batches = Self.batches(of: even, size: configuration.batch.size)
    steps = RolloutInputs.steps(configuration, settings.rollout, count: sample.rows)
    bytes = 0
  }

  /// Samples of each prompt that go on to the limit of their length.
  private static func longestSamples(
    of prompts: [PromptText], _ rollout: RunConfiguration.RolloutSettings, _ source: ModelSource, _ path: String
  ) throws -> TokenizedDataset {
    let examples = prompts.map { prompt in
      let length = min(rollout.sampling.maxNewTokens, source.configuration.contextLength - prompt.tokens.count)
      let completion = EncodedExample.Completion(
        tokens: (0..<length).map { Int32($0 % source.configuration.vocabularySize) }, role: .sample)
      return EncodedExample(
        prompt: prompt.tokens, completions: Array(repeating: completion, count: rollout.sampling.samples))
    }
    try TokenizedDataset.write(examples, to: path, key: "plan")
    return try TokenizedDataset(path: path)
  }
}

// MARK: - What is done with them

extension OutlinedData {
  /// Allocates what a run has beside its trainer: a reward model, a sampler.
  func allocateOthers(
    _ configuration: RunConfiguration, _ source: ModelSource, _ communicator: any Communicator
  ) throws {
    guard case .policy(let settings, let limits) = method else { return }
    let reward = try settings.rewards.model.map { try ModelSource(.directory($0), readsWeights: false) }
    _ = try RewardScorer(
      settings.rewards, reward, limits, unitTokens: configuration.batch.unitTokens, over: communicator)
    if let sampling { _ = try Sampler(source.configuration, capacity: sampling.capacity) }
  }

  /// The passes of an average optimiser step.
  func passes(_ configuration: RunConfiguration, _ packer: PassPacker) -> [RunOutline.Pass] {
    switch method {
    case .preference(let task): training(packer) + surveys(task, packer)
    case .policy(let settings, _): training(packer) + lookingBack(settings, configuration, packer)
    }
  }

  private func training(_ packer: PassPacker) -> [RunOutline.Pass] {
    packer.passes(.training, batches, groups, frequency: 1)
  }

  /// The live reference of a step, and the forward passes before it that some objectives ask for.
  private func surveys(_ task: PreferenceTask, _ packer: PassPacker) -> [RunOutline.Pass] {
    let references = task.needsLiveReference ? packer.passes(.scoring(1), batches, groups, frequency: 1) : []
    let share = 1 / Double(batches.count)
    return references
      + batches.flatMap { batch -> [RunOutline.Pass] in
        guard let survey = task.survey(of: batch) else { return [] }
        let models = survey.needsReference || task.needsLiveReference ? 2 : 1
        return packer.passes(.scoring(models), [survey.indices], survey.groups, frequency: share)
      }
  }

  /// What policy, reference and reward model say of a rollout, spread over its steps.
  private func lookingBack(
    _ settings: RunConfiguration.PolicySettings, _ configuration: RunConfiguration, _ packer: PassPacker
  ) -> [RunOutline.Pass] {
    let perRollout = settings.rollout.epochs * settings.rollout.prompts / configuration.batch.size
    let isOnPolicy = settings.rollout.source == .policy && perRollout == 1 && !settings.objective.needsValues
    let asksPolicy = settings.rollout.source == .policy && (!isOnPolicy || needsReference)
    let models = (needsReference ? 1 : 0) + (asksPolicy ? 1 : 0) + (settings.rewards.model == nil ? 0 : 1)
    return models == 0
      ? []
      : packer.passes(.scoring(models), batches, groups, frequency: 1 / Double(settings.rollout.epochs))
  }
}

/// How a rollout is drawn.
struct SamplingOutline {
  /// The prompts of a unit of samples, and how many samples each of them gets there.
  let requests: [SampleRequest]
  /// Units of a rollout.
  let units: Int
  let capacity: DecodingCapacity
  let settings: SamplingSettings
  /// Passes over a rollout's prompts.
  let prompts: Int
  let epochs: Int

  init(_ sampled: [[Int32]], _ rollout: RunConfiguration.RolloutSettings, _ c: ModelConfiguration) {
    let prompts = (0..<rollout.prompts).map { sampled[$0 % sampled.count] }
    let limits = SamplingLimits(sequences: rollout.unitSequences)
    let plan = { (lengths: [Int]) in
      SamplingPlan(promptLengths: lengths, settings: rollout.sampling, configuration: c, limits: limits)
    }
    let usual = plan(prompts.map(\.count))
    // Sooner or later the longest prompts meet in a rollout.
    let longest = sampled.map(\.count).sorted(by: >)
    capacity = usual.capacity.union(plan((0..<rollout.prompts).map { longest[$0 % longest.count] }).capacity)
    requests = usual.units[0].map {
      SampleRequest(prompt: prompts[$0.prompt], identity: $0.prompt, samples: $0.samples)
    }
    units = usual.units.count
    settings = rollout.sampling
    self.prompts = rollout.prompts
    epochs = rollout.epochs
  }
}
