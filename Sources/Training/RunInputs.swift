import AlignmentCore
import Collectives
import Objectives
import PreferenceData
import Transformer

/// The data of a training run, tokenised, with reference log-probabilities where the objective needs them.
package struct RunInputs {
  package let training: ObjectiveData
  package let evaluation: ObjectiveData?
  package let totalSteps: Int
  /// What must be the same when the run is continued.
  let continuationSettings: [(key: String, value: String)]

  package init(_ configuration: RunConfiguration, source: ModelSource, over communicator: any Communicator) throws {
    let loader = try DataLoader(configuration, source: source, over: communicator)
    training = try loader.load(configuration.data.train)
    evaluation = configuration.data.evaluation.isEmpty ? nil : try loader.load(configuration.data.evaluation)
    switch configuration.length {
    case .steps(let steps): totalSteps = steps
    case .epochs(let epochs):
      totalSteps = BatchStream.steps(epochs: epochs, count: training.dataset.count, batch: configuration.batch.size)
    }
    continuationSettings = Self.continuationSettings(
      configuration, source: source, reference: loader.reference, dataset: training.dataset)
  }

  /// Keys that may change between a run and its continuation without changing what it computes.
  private static let freeKeys = [
    "run", "model", "reference", "data.", "eval.", "checkpoint.", "threads", "memory.activations_mb", "cache",
    "watchdog",
  ]

  private static func continuationSettings(
    _ configuration: RunConfiguration, source: ModelSource, reference: ModelSource, dataset: TokenizedDataset
  ) -> [(key: String, value: String)] {
    let freeLength = configuration.schedule.ignoresLength
    let fixed = configuration.settings.entries.filter { entry in
      let isFree = freeKeys.contains { entry.key == $0 || ($0.hasSuffix(".") && entry.key.hasPrefix($0)) }
      let isLength = entry.key == "steps" || entry.key == "epochs"
      return !(isFree && entry.key != "data.shuffle") && !(isLength && freeLength)
    }
    return fixed + [
      ("digest of the model", source.digest), ("digest of the reference", reference.digest),
      ("digest of the training data", dataset.digest),
    ]
  }
}

/// Turns data files into what an objective needs.
private struct DataLoader {
  let reference: ModelSource
  private let configuration: RunConfiguration
  private let source: ModelSource
  private let communicator: any Communicator

  package init(_ configuration: RunConfiguration, source: ModelSource, over communicator: any Communicator) throws {
    self.configuration = configuration
    self.source = source
    self.communicator = communicator
    reference = try configuration.reference.map { try ModelSource(.directory($0)) } ?? source
    guard reference.configuration.vocabularySize >= source.tokenizer.vocabularySize else {
      throw Fault(
        .data,
        "the reference has \(reference.configuration.vocabularySize) tokens, the policy's tokenizer \(source.tokenizer.vocabularySize)",
        at: configuration.reference ?? "", hint: "policy and reference must share their vocabulary")
    }
  }

  func load(_ files: [String]) throws -> ObjectiveData {
    let kind = type(of: configuration.objective)
    let options = EncodingOptions(configuration.data, for: kind.groupKind, source: source)
    let dataset = try PreparedData.open(
      files, source: source, options: options, cache: configuration.cache, over: communicator)
    guard kind.needsReference else { return ObjectiveData(dataset: dataset, reference: []) }
    let pass = ReferenceLogProbabilities(
      source: reference, unitTokens: configuration.batch.unitTokens, cache: configuration.cache,
      communicator: communicator)
    return ObjectiveData(dataset: dataset, reference: try pass.values(for: dataset))
  }
}
