import AlignmentCore
import Collectives
import Objectives
import PreferenceData
import Transformer

/// The data of a training run, tokenised, with reference log-probabilities where the objective needs them stored.
package struct RunInputs {
  package let training: ObjectiveData
  package let evaluation: ObjectiveData?
  package let totalSteps: Int
  /// The reference that must be in memory because it moves, or because other completions than the data's meet it.
  let liveReference: ModelSource?
  /// What must be the same when the run is continued.
  let continuationSettings: [(key: String, value: String)]

  package init(
    _ configuration: RunConfiguration, _ loss: PreferenceLoss, source: ModelSource, over communicator: any Communicator
  ) throws {
    let loader = try DataLoader(configuration, loss, source: source, over: communicator)
    training = try loader.load(configuration.data.train, weights: try loader.weights())
    if loss.objective.traits.groupKind == .labelled { try training.dataset.checkClasses() }
    evaluation = configuration.data.evaluation.isEmpty ? nil : try loader.load(configuration.data.evaluation)
    liveReference = loader.needsLiveReference ? loader.reference : nil
    switch configuration.length {
    case .steps(let steps): totalSteps = steps
    case .epochs(let epochs):
      totalSteps = BatchStream.steps(epochs: epochs, count: training.dataset.count, batch: configuration.batch.size)
    }
    continuationSettings = Self.continuationSettings(
      configuration, model: source.digest, reference: loader.reference.digest, data: training.dataset.digest)
  }

  /// Keys that may change between a run and its continuation without changing what it computes.
  private static let freeKeys = [
    "run", "model", "reference", "reward.model", "data.", "eval.", "checkpoint.", "check.", "threads",
    "memory.activations_mb", "cache", "watchdog", "on_nonfinite", "max_skips", "communication",
  ]

  /// The settings, and digests of what they name.
  static func continuationSettings(
    _ configuration: RunConfiguration, model: String, reference: String, data: String
  ) -> [(key: String, value: String)] {
    let freeLength = configuration.schedule.ignoresLength
    let fixed = configuration.settings.entries.filter { entry in
      let isFree = freeKeys.contains { entry.key == $0 || ($0.hasSuffix(".") && entry.key.hasPrefix($0)) }
      let isLength = entry.key == "steps" || entry.key == "epochs"
      return !(isFree && entry.key != "data.shuffle") && !(isLength && freeLength)
    }
    return fixed + [
      ("digest of the model", model), ("digest of the reference", reference), ("digest of the training data", data),
    ]
  }
}

extension TokenizedDataset {
  /// Refuses data of a single class, from which there is nothing to tell apart.
  fileprivate func checkClasses() throws {
    let first = completion(0, of: example(0)).role.isDesirable
    let isMixed = (0..<count).contains { index in
      let record = example(index)
      return record.q < 1 || completion(0, of: record).role.isDesirable != first
    }
    guard !isMixed else { return }
    throw Fault(
      .data, "all \(count) completions are \(first ? "desirable" : "undesirable")", at: "data.train",
      hint: "add completions of the other kind, or use sft")
  }
}

/// Turns data files into what an objective needs.
private struct DataLoader {
  let reference: ModelSource
  private let configuration: RunConfiguration
  private let source: ModelSource
  private let communicator: any Communicator
  private let loss: PreferenceLoss
  private var traits: ObjectiveTraits { loss.objective.traits }

  init(
    _ configuration: RunConfiguration, _ loss: PreferenceLoss, source: ModelSource, over communicator: any Communicator
  ) throws {
    self.configuration = configuration
    self.source = source
    self.communicator = communicator
    self.loss = loss
    reference = try configuration.reference.map { try ModelSource(.directory($0)).agreed(over: communicator) } ?? source
    try checkReference()
  }

  /// Whether the reference moves, or is asked about completions that are not in the data.
  var needsLiveReference: Bool {
    traits.needsReference && (configuration.referenceSync.every > 0 || traits.survey == .mismatched)
  }

  private func checkReference() throws {
    try reference.requireVocabulary(of: source, configuration.reference ?? "")
    guard !needsLiveReference || reference.configuration == source.configuration else {
      throw Fault(
        .configuration, "the reference is computed beside the policy and must have its shape",
        at: configuration.reference ?? "",
        hint: "use a reference of the same shape, kto with kl=zero, or no reference_sync")
    }
    guard configuration.referenceSync.every == 0 || traits.needsReference else {
      throw Fault(
        .configuration, "the objective has no reference", at: "objective.reference_sync", hint: "leave it out")
    }
  }

  /// The weights that the recipe names, of the training data as they are now.
  ///
  /// - Throws: ``Fault`` if they are of other data or, where a policy is trained, for another policy than it begins with.
  func weights() throws -> RowWeights? {
    guard let path = configuration.data.weights else { return nil }
    let file = try WeightFile(path: path)
    try file.fingerprint.checkData(configuration.data.train, at: path)
    if traits.output == .logProbability {
      let start = configuration.lora?.start
      let policy =
        try start.map { try ModelSource(configuration.model, adapter: $0).agreed(over: communicator) } ?? source
      try file.fingerprint.checkModel(policy.digest, at: path)
    }
    return try file.rowWeights()
  }

  func load(_ files: [String], weights: RowWeights? = nil) throws -> ObjectiveData {
    let options = EncodingOptions(configuration.data, for: traits.groupKind, source: source)
    let dataset = try PreparedData.open(
      files, source: source, options: options, weights: weights, cache: configuration.cache, over: communicator)
    guard traits.needsReference, configuration.referenceSync.every == 0 else {
      return ObjectiveData(dataset: dataset, reference: .none)
    }
    let pass = ReferenceLogProbabilities(
      source: reference, unitTokens: configuration.batch.unitTokens, cache: configuration.cache,
      communicator: communicator)
    let perToken = !loss.reduction.isPlain
    return ObjectiveData(dataset: dataset, reference: try pass.table(for: dataset, perToken: perToken))
  }
}
