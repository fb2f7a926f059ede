import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Kernels

/// The work of `adalign evaluate`: what a model is worth, as one JSON object and as a table for people.
package struct ModelEvaluation {
  package let model: String
  /// Directory of an adapter of the model; the model without it is the reference then, unless another is named.
  package var adapter: String?
  package var reference: String?
  package var data: HeldOutData?
  package var comparison: PolicyComparison.Settings?
  /// Samples to be written beside the report.
  package var samples: SampleFile?
  /// Where the report appears; nil if it is only returned.
  package var output: String?
  package var unitTokens = 2048
  package var threads = 1

  package init(model: String) { self.model = model }

  /// What was found, the same on every rank.
  package struct Report {
    package let json: JSONValue
    package let table: String
  }

  /// Opens everything first, then computes on all ranks; rank 0 writes the files.
  package func run(over communicator: any Communicator) throws -> Report {
    // Whatever would hinder the outputs shall do so now.
    try communicator.doOnRankZero {
      for output in [output, samples?.output].compactMap({ $0 }) { try AtomicFile.check(output) }
    }
    BLAS.threads = threads
    let source = try ModelSource(.directory(model), adapter: adapter).agreed(over: communicator)
    let reference = try referenceSource(source, over: communicator)
    let evaluator = try data.map {
      try HeldOutEvaluator($0, source: source, reference: reference, unitTokens: unitTokens, over: communicator)
    }
    let comparison = try comparison.map { settings in
      try source.requireLanguageModel(model, for: "--against")
      return try PolicyComparison(
        settings, policy: source, reference: reference, unitTokens: unitTokens, over: communicator)
    }
    if samples != nil { try source.requireLanguageModel(model, for: "--samples") }
    let report = try report(source, evaluator, comparison)
    try samples?.write(over: communicator)
    if communicator.rank == 0, let output {
      try AtomicFile.write(output, report.json.serialized(pretty: true) + [UInt8(ascii: "\n")])
    }
    try communicator.barrier()
    return report
  }

  private func referenceSource(
    _ source: ModelSource, over communicator: any Communicator
  ) throws -> ModelSource? {
    guard source.head != .score else {
      guard reference == nil else {
        throw Fault(.usage, "a reward model has no reference", at: model, hint: "leave --reference out")
      }
      return nil
    }
    guard let directory = reference ?? (adapter == nil ? nil : model) else { return nil }
    let other = try ModelSource(.directory(directory)).agreed(over: communicator)
    try other.requireLanguageModel(directory, for: "--reference")
    try other.requireVocabulary(of: source, directory)
    return other
  }

  private func report(
    _ source: ModelSource, _ evaluator: HeldOutEvaluator?, _ comparison: PolicyComparison?
  ) throws -> Report {
    let isReward = source.head == .score
    var members: [(ByteString, JSONValue)] = [
      ("model", .string(ByteString(model))), ("kind", .string(isReward ? "reward_model" : "language_model")),
    ]
    if let adapter { members.append(("adapter", .string(ByteString(adapter)))) }
    if let directory = reference ?? adapter.map({ _ in model }), !isReward {
      members.append(("reference", .string(ByteString(directory))))
    }
    var text = ""
    if let evaluator {
      let table = try evaluator.table()
      members += evaluator.members + table.members
      text += table.text
    }
    if let comparison {
      let findings = try comparison.run()
      members.append(("comparison", findings.json(comparison.settings)))
      text += findings.text(comparison.settings)
    }
    return Report(json: .object(JSONObject(members)), table: text)
  }
}
