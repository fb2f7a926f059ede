import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Kernels
import PreferenceData
import Transformer

/// The work of `adalign score`: a data file becomes a file of log-probabilities.
package struct ScoreFile {
  let model: String
  let data: String
  let output: String
  let boundary: EncodingOptions.Boundary
  let perToken: Bool
  let unitTokens: Int
  let threads: Int

  package init(
    model: String, data: String, output: String, boundary: EncodingOptions.Boundary, perToken: Bool, unitTokens: Int,
    threads: Int
  ) {
    self.model = model
    self.data = data
    self.output = output
    self.boundary = boundary
    self.perToken = perToken
    self.unitTokens = unitTokens
    self.threads = threads
  }

  /// Computes on all ranks; rank 0 writes the file, which appears when it is complete.
  package func write(over communicator: any Communicator) throws {
    try FileSystem.checkParent(of: output)
    BLAS.threads = threads
    let source = try ModelSource(.directory(model))
    var options = EncodingOptions(
      contextLength: source.configuration.contextLength, endOfSequence: source.endOfSequence)
    options.boundary = boundary
    options.selection = .all
    let dataset = try PreparedData.open(
      [data], source: source, options: options, cache: CacheDirectory.byDefault, over: communicator)
    let pass = try ScoringPass(source, dataset: dataset, unitTokens: unitTokens, over: communicator)
    let findings = try source.head == .score ? scores(pass) : logProbabilities(pass)
    if communicator.rank == 0 { try write(findings, of: dataset) }
    try communicator.barrier()
  }

  /// What is written about each completion.
  private typealias Findings = [[(ByteString, JSONValue)]]

  private func scores(_ pass: ScoringPass) throws -> Findings {
    guard !perToken else {
      throw Fault(.usage, "a reward model has one score for a completion", hint: "leave --per-token out")
    }
    return try pass.completionOutputs().map { [("score", .double($0))] }
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
