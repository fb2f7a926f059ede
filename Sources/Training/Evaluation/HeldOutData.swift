import AlignmentCore
import Collectives
import JSON
import Objectives
import PreferenceData
import Transformer

/// Held-out data, and what a model is measured with on them.
package struct HeldOutData {
  package let file: String
  /// Name of an objective for language models; nil chooses by the data.
  package var objective: String?
  /// Its `key=value` options.
  package var settings: [String] = []
  package var boundary: EncodingOptions.Boundary = .joined
  /// Longest prompt and completion in tokens; nil refuses those beyond the context.
  package var maxLength: Int?

  package init(file: String) { self.file = file }
}

/// Metrics of a model on held-out data, computed by all ranks; the same numbers on any number of them.
struct HeldOutEvaluator {
  private let data: HeldOutData
  private let source: ModelSource
  private let reference: ModelSource?
  /// Name of the objective.
  private let objective: String
  private let loss: PreferenceLoss
  private let selection: EncodingOptions.Selection
  private let unitTokens: Int
  private let communicator: any Communicator

  /// Opens what is needed; nothing is computed yet.
  init(
    _ data: HeldOutData, source: ModelSource, reference: ModelSource?, unitTokens: Int,
    over communicator: any Communicator
  ) throws {
    self.data = data
    self.source = source
    self.reference = reference
    self.unitTokens = unitTokens
    self.communicator = communicator
    let kind = try RowKind(ofFile: data.file)
    objective =
      try source.head == .score ? Self.rewardObjective(kind, data) : Self.policyObjective(kind, data, reference != nil)
    loss = try ObjectiveArguments(data.settings).loss(objective)
    selection = Self.selection(kind, loss.objective.traits)
    try check(loss.objective.traits)
  }

  /// What is reported beside the metrics.
  var members: [(ByteString, JSONValue)] {
    let settings = loss.settings.map { (ByteString($0.name), JSONValue.string(ByteString($0.value))) }
    return [
      ("data", .string(ByteString(data.file))), ("objective", .string(ByteString(objective))),
      ("settings", .object(JSONObject(source.head == .score ? [] : settings))),
    ]
  }

  /// Scores the data.
  func table() throws -> DomainTable {
    var options = EncodingOptions(
      contextLength: min(source.configuration.contextLength, reference?.configuration.contextLength ?? .max),
      endOfSequence: source.endOfSequence)
    options.boundary = data.boundary
    options.maxLength = data.maxLength.map { min($0, options.contextLength) }
    options.selection = selection
    let dataset = try PreparedData.open(
      [data.file], source: source, options: options, cache: CacheDirectory.byDefault, over: communicator)
    guard source.head != .score else {
      let scores = try pass(source, dataset).completionOutputs()
      return DomainTable(dataset, RewardModelMetrics(task(dataset, .none), scores: scores).values)
    }
    let mismatched = MismatchedGroups(
      Array(0..<dataset.count), of: dataset, contextLength: options.contextLength)
    let policy = try numbers(source, dataset, mismatched)
    let table = try reference.map {
      try ReferenceLogProbabilities(
        source: $0, unitTokens: unitTokens, cache: CacheDirectory.byDefault, communicator: communicator
      ).table(for: dataset, perToken: !loss.reduction.isPlain)
    }
    let surveyed = try surveyed(policy.surveyed, dataset, mismatched)
    let metrics = LanguageModelMetrics(task(dataset, table ?? .none), policy: policy.table, surveyed: surveyed)
    return DomainTable(dataset, metrics.values)
  }

  private func task(_ dataset: TokenizedDataset, _ reference: ReferenceTable) -> PreferenceTask {
    PreferenceTask(
      loss, data: ObjectiveData(dataset: dataset, reference: reference), normalization: .weight,
      contextLength: source.configuration.contextLength)
  }

  private func pass(_ source: ModelSource, _ dataset: TokenizedDataset) throws -> ScoringPass {
    try ScoringPass(
      source, dataset: dataset, unitTokens: unitTokens, mixesPrompts: loss.objective.traits.survey == .mismatched,
      over: communicator)
  }

  /// Log-probabilities of the data's completions, and of those behind other prompts if the objective surveys them.
  private func numbers(
    _ source: ModelSource, _ dataset: TokenizedDataset, _ mismatched: MismatchedGroups
  ) throws -> (table: ReferenceTable, surveyed: [Double]) {
    let pass = try pass(source, dataset)
    let surveyed = try loss.objective.traits.survey == .mismatched ? pass.outputs(of: mismatched) : []
    guard !loss.reduction.isPlain else { return (ReferenceTable(sums: try pass.completionOutputs()), surveyed) }
    let tokens = try pass.tokenLogProbabilities().flatMap { $0 }
    return (ReferenceTable(tokens: tokens, lengths: dataset.completionLengths), surveyed)
  }

  private func surveyed(
    _ policy: [Double], _ dataset: TokenizedDataset, _ mismatched: MismatchedGroups
  ) throws -> [ObjectiveGroup] {
    guard !policy.isEmpty, let reference else { return [] }
    let other = try pass(reference, dataset).outputs(of: mismatched)
    return zip(policy, other).map {
      ObjectiveGroup(completions: [ScoredCompletion(policy: $0, reference: $1, tokens: 1)])
    }
  }
}

// MARK: - What suits the data

extension HeldOutEvaluator {
  /// The objective that trains reward models on such data.
  private static func rewardObjective(_ kind: RowKind, _ data: HeldOutData) throws -> String {
    guard data.objective == nil, data.settings.isEmpty else {
      throw Fault(
        .usage, "a reward model has no choice of objective", at: data.objective ?? data.settings[0],
        hint: "leave --objective and its options out")
    }
    switch kind {
    case .pairs: return BradleyTerry.name
    case .labelled: return RewardClassification.name
    case .scored: return RewardRegression.name
    case .bare:
      throw Fault(
        .data, "the rows have neither preferences nor labels nor scores", at: data.file,
        hint: "give 'chosen' and 'rejected', or 'completion' with 'label' or 'score'")
    }
  }

  /// The objective that was asked for; without one, that of DPO for pairs and a reference, else the likelihood.
  private static func policyObjective(_ kind: RowKind, _ data: HeldOutData, _ hasReference: Bool) -> String {
    data.objective ?? (kind == .pairs && hasReference ? DPO.name : SFT.name)
  }

  private func check(_ traits: ObjectiveTraits) throws {
    guard source.head == .score || traits.output == .logProbability else {
      throw Fault(.usage, "\(objective) is for reward models, and this is a language model", hint: "use dpo or sft")
    }
    guard loss.weighting == nil else {
      throw Fault(.usage, "weights computed in the step are of training alone", at: "weighting", hint: "leave it out")
    }
    guard reference != nil || !traits.needsReference else {
      throw Fault(.usage, "\(objective) needs a reference", hint: "name its directory with --reference")
    }
  }

  /// Likelihoods are told of both completions of a pair, though only one is learned from.
  private static func selection(_ kind: RowKind, _ traits: ObjectiveTraits) -> EncodingOptions.Selection {
    switch traits.groupKind {
    case .pair: .pairs
    case .preferred: kind == .pairs ? .pairs : .preferred
    case .labelled: .labelled
    case .conditioned: .conditioned
    case .scored: .scored
    }
  }
}
