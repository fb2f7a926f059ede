import AlignmentCore
import Collectives
import Objectives
import PreferenceData
import Transformer

/// What online training starts from: prompts, and the pairs of the data where a share of each batch is theirs.
struct OnlineInputs {
  let prompts: [PromptText]
  /// The data's pairs; nil where only the policy's own answers are learned from.
  let source: TokenizedDataset?
  let evaluation: TokenizedDataset?
  let reference: ModelSource?
  let totalSteps: Int
  let capacity: UnitCapacity
  let continuationSettings: [(key: String, value: String)]

  init(
    _ configuration: RunConfiguration, _ online: RunConfiguration.OnlineSettings, _ traits: ObjectiveTraits,
    model: ModelSource, over communicator: any Communicator
  ) throws {
    try Self.check(configuration, traits)
    let options = EncodingOptions(configuration.data, for: .pair, source: model)
    let open = { (files: [String]) in
      try PreparedData.open(files, source: model, options: options, cache: configuration.cache, over: communicator)
    }
    prompts = try configuration.data.train.flatMap(PromptReader(source: model, data: configuration.data).read)
    source = online.sourceShare > 0 ? try open(configuration.data.train) : nil
    evaluation = configuration.data.evaluation.isEmpty ? nil : try open(configuration.data.evaluation)
    reference =
      traits.needsReference
      ? try configuration.reference.map { try ModelSource(.directory($0)).agreed(over: communicator) } ?? model : nil
    if let reference { try reference.requireShape(of: model, configuration.reference ?? "") }
    switch configuration.length {
    case .steps(let steps): totalSteps = steps
    case .epochs(let epochs):
      totalSteps = BatchStream.steps(epochs: epochs, count: prompts.count, batch: configuration.batch.size)
    }
    capacity = Self.capacity(configuration, online, prompts, [source, evaluation].compactMap { $0 }, model)
    let digest = PromptReader.digest(prompts)
    try PreparedData.agree(at: "data.train", over: communicator) { digest }
    continuationSettings = RunInputs.continuationSettings(
      configuration, model: model.digest, reference: reference?.digest ?? "none",
      data: [digest, source?.digest ?? ""].joined(separator: " "))
  }

  private static func check(_ configuration: RunConfiguration, _ traits: ObjectiveTraits) throws {
    guard traits.groupKind == .pair, traits.output == .logProbability, traits.survey != .mismatched else {
      throw Fault(
        .configuration, "online training learns from pairs", at: "objective.name",
        hint: "use an objective for pairs, such as dpo, ipo or slic")
    }
    guard configuration.groupDRO == nil else {
      throw Fault(
        .configuration, "the policy's own pairs have no domains", at: "objective.group_dro",
        hint: "leave it out, or train without online")
    }
    guard configuration.referenceSync.every == 0 || traits.needsReference else {
      throw Fault(
        .configuration, "the objective has no reference", at: "objective.reference_sync", hint: "leave it out")
    }
  }

  /// Room for the pairs of any step. An answer gets the end of the sequence where the limit of length cut it.
  private static func capacity(
    _ configuration: RunConfiguration, _ online: RunConfiguration.OnlineSettings, _ prompts: [PromptText],
    _ datasets: [TokenizedDataset], _ model: ModelSource
  ) -> UnitCapacity {
    let context = model.configuration.contextLength
    var (group, sequence) = (0, 0)
    for prompt in prompts {
      let answer = min(context - prompt.tokens.count, online.sampling.maxNewTokens + 1)
      group = max(group, prompt.tokens.count + 2 * answer)
      sequence = max(sequence, prompt.tokens.count + answer)
    }
    let stored = UnitCapacity(
      unitTokens: configuration.batch.unitTokens, datasets: datasets, contextLength: context)
    let tokens = max(stored.tokens, group)
    return UnitCapacity(tokens: tokens, predictions: 2 * tokens, sequence: max(stored.sequence, sequence))
  }
}

extension ModelSource {
  /// - Throws: ``Fault`` for a reference that cannot be computed beside the policy.
  func requireShape(of policy: ModelSource, _ directory: String) throws {
    guard configuration == policy.configuration else {
      throw Fault(
        .configuration, "the reference is computed beside the policy and must have its shape", at: directory,
        hint: "use a reference of the same shape")
    }
  }
}
