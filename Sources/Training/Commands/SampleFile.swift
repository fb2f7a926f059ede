import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Kernels
import Transformer

/// The work of `adalign sample`: a file of prompts becomes a file of completions.
package struct SampleFile {
  package let model: String
  /// Directory of an adapter of the model.
  package var adapter: String?
  package let prompts: String
  package let output: String
  package let settings: SamplingSettings
  /// Texts that end a sample.
  package var stopStrings: [String] = []
  /// Text behind every prompt.
  package var suffix = ""
  package var limits = SamplingLimits()
  package var threads = 1

  package init(model: String, prompts: String, output: String, settings: SamplingSettings) {
    self.model = model
    self.prompts = prompts
    self.output = output
    self.settings = settings
  }

  /// Draws on all ranks; rank 0 writes the file, which appears when it is complete.
  package func write(over communicator: any Communicator) throws {
    try communicator.doOnRankZero { try AtomicFile.check(output) }
    BLAS.threads = threads
    let source = try ModelSource(.directory(model), adapter: adapter).agreed(over: communicator)
    try source.requireLanguageModel(model, for: "sampling")
    let continuations = Continuations(source: source, stopStrings: stopStrings, limits: limits, over: communicator)
    let encoded = try PromptFile.read(prompts).map {
      try continuations.encode($0.text + Array(suffix.utf8), at: $0.place)
    }
    try PreparedData.agree(at: prompts, over: communicator) { Self.digest(encoded) }
    let parameters = try source.loadParameters(over: communicator)
    let progress = SamplingProgress(over: communicator)
    let results = try continuations.draw(
      encoded, parameters: parameters.view, settings, observer: progress.update)
    if communicator.rank == 0 { try write(results) }
    try communicator.barrier()
  }

  private static func digest(_ prompts: [[Int32]]) -> String {
    let hash = SHA256()
    for prompt in prompts { hash.update(field: "\(prompt)") }
    return hash.finish().hex
  }

  private func write(_ results: [[Continuations.Continuation]]) throws {
    try AtomicFile.write(output) { file in
      for (index, continuations) in results.enumerated() {
        let row = JSONObject([
          ("index", .integer(Int64(index))), ("samples", .array(continuations.map(Self.json))),
        ])
        try file.append(JSONValue.object(row).serialized() + [UInt8(ascii: "\n")])
      }
    }
  }

  private static func json(_ continuation: Continuations.Continuation) -> JSONValue {
    let sample = continuation.sample
    return .object(
      JSONObject([
        ("ids", .array(sample.ids.map { .integer(Int64($0)) })), ("text", .string(ByteString(continuation.text))),
        ("logp", .double(sample.logProbability)), ("logp_sampling", .double(sample.samplingLogProbability)),
        ("finished", .bool(sample.isFinished)),
      ]))
  }
}

/// The progress of rank 0's own samples, which begins when the number of them is known.
final class SamplingProgress {
  private let isEnabled: Bool
  private let details: String
  private let started = MonotonicClock.seconds
  private var progress: Progress?

  init(over communicator: any Communicator) {
    isEnabled = communicator.rank == 0
    details = communicator.size > 1 ? "on rank 0 of \(communicator.size)" : ""
  }

  func update(done: Int, total: Int, tokens: Int) {
    let progress = progress ?? Progress(from: 0, to: total, unit: "sample", started: started, isEnabled: isEnabled)
    self.progress = progress
    progress.update(step: done, tokens: tokens, details: details)
  }
}
