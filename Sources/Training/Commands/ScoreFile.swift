import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Kernels
import PreferenceData
import Transformer

/// The work of `adalign score`: a data file becomes a file of log-probabilities, or of scores.
package struct ScoreFile {
  /// Directories: a model, or several reward models.
  package let models: [String]
  package let data: String
  package let output: String
  /// Directory of an adapter of a single model.
  package var adapter: String?
  /// How the scores of several models become one.
  package var combination = ScoreCombination.mean
  package var boundary: EncodingOptions.Boundary = .joined
  /// Longest prompt and completion in tokens; nil refuses those beyond the context.
  package var maxLength: Int?
  package var perToken = false
  package var unitTokens = 2048
  package var threads = 1

  package init(models: [String], data: String, output: String) {
    precondition(!models.isEmpty, "there is nothing to score with")
    self.models = models
    self.data = data
    self.output = output
  }

  /// Computes on all ranks; rank 0 writes the file, which appears when it is complete.
  package func write(over communicator: any Communicator) throws {
    try communicator.doOnRankZero { try AtomicFile.check(output) }
    BLAS.threads = threads
    let sources = try models.map { try ModelSource(.directory($0), adapter: adapter).agreed(over: communicator) }
    try check(sources)
    var options = EncodingOptions(
      contextLength: sources.map(\.configuration.contextLength).min() ?? 0, endOfSequence: sources[0].endOfSequence)
    options.boundary = boundary
    options.maxLength = maxLength.map { min($0, options.contextLength) }
    options.selection = .all
    let dataset = try PreparedData.open(
      [data], source: sources[0], options: options, cache: CacheDirectory.byDefault, over: communicator)
    // One model after the other is in memory.
    let pass = { try ScoringPass($0, dataset: dataset, unitTokens: unitTokens, over: communicator) }
    let findings =
      try sources[0].head == .score
      ? scores(try sources.map { try pass($0).completionOutputs() }) : logProbabilities(pass(sources[0]))
    if communicator.rank == 0 { try write(findings, of: dataset) }
    try communicator.barrier()
  }

  private func check(_ sources: [ModelSource]) throws {
    guard !perToken || sources[0].head != .score else {
      throw Fault(.usage, "a reward model has one score for a completion", hint: "leave --per-token out")
    }
    guard sources.count > 1 else { return }
    guard adapter == nil else {
      throw Fault(.usage, "an adapter belongs to one model, not to several", hint: "merge them with adalign merge")
    }
    for (source, directory) in zip(sources, models) {
      try source.requireRewardModel(directory, for: "an ensemble")
      try source.requireTokens(of: sources[0], directory)
    }
  }

  /// What is written about each completion.
  private typealias Findings = [[(ByteString, JSONValue)]]

  /// - Parameters:
  ///   - scores: of all completions, for each model.
  private func scores(_ scores: [[Double]]) -> Findings {
    scores[0].indices.map { completion in
      let own = scores.map { $0[completion] }
      guard own.count > 1 else { return [("score", .double(own[0]))] }
      return [("score", .double(combination.value(of: own))), ("scores", .array(own.map(JSONValue.double)))]
    }
  }

  private func logProbabilities(_ pass: ScoringPass) throws -> Findings {
    try pass.tokenLogProbabilities().map { values in
      [("logp", .double(values.reduce(0, +)))] + (perToken ? [("logps", .array(values.map(JSONValue.double)))] : [])
    }
  }

  private func write(_ findings: Findings, of dataset: TokenizedDataset) throws {
    try AtomicFile.write(output) { file in
      for index in 0..<dataset.count {
        try file.append(row(index, findings, dataset).serialized() + [UInt8(ascii: "\n")])
      }
    }
  }

  private func row(_ index: Int, _ findings: Findings, _ dataset: TokenizedDataset) -> JSONValue {
    let record = dataset.example(index)
    let completions = (0..<record.completionCount).map { offset -> JSONValue in
      let completion = dataset.completion(offset, of: record)
      return .object(
        JSONObject(
          [
            ("name", .string(ByteString(completion.role.scoreName))), ("tokens", .integer(Int64(completion.length))),
          ] + findings[record.firstCompletion + offset]))
    }
    return .object(
      JSONObject([
        ("index", .integer(Int64(record.rowIndex))), ("prompt_tokens", .integer(Int64(record.promptLength))),
        ("completions", .array(completions)),
      ]))
  }
}

extension CompletionRole {
  /// The name of the row's field that held the completion.
  fileprivate var scoreName: String {
    switch self {
    case .chosen: "chosen"
    case .rejected: "rejected"
    case .desirable, .undesirable, .sample: "completion"
    }
  }
}
