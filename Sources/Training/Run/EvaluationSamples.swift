import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Logging
import Transformer

/// What a model says to a fixed set of prompts while it is trained, for people to read: a file for each evaluation.
final class EvaluationSamples {
  private let prompts: [PromptText]
  private let trainer: Trainer
  private let continuations: Continuations
  private let settings: SamplingSettings
  private let directory: String

  /// Reads the prompts; nil if the recipe names none.
  init?(_ configuration: RunConfiguration, source: ModelSource, trainer: Trainer, over communicator: any Communicator)
    throws
  {
    let evaluation = configuration.evaluation
    guard !evaluation.prompts.isEmpty else { return nil }
    guard trainer.model.head != .score else {
      throw Fault(
        .configuration, "a reward model has nothing to say to prompts", at: "eval.prompts", hint: "leave it out")
    }
    var settings = SamplingSettings(seed: configuration.seed, maxNewTokens: evaluation.maxNewTokens)
    settings.temperature = evaluation.temperature
    let reader = PromptReader(source: source, data: configuration.data)
    prompts = try evaluation.prompts.flatMap(reader.read)
    self.settings = settings
    self.trainer = trainer
    continuations = Continuations(source: source, over: communicator)
    directory = "\(configuration.run)/samples"
  }

  /// Draws one sample of each prompt, with the same random numbers each time, and writes them as `step-NNNNNN.jsonl`.
  func write(step: Int, isRankZero: Bool) throws {
    let drawn = try continuations.draw(
      prompts.map(\.tokens), parameters: trainer.weights.model.view, settings)
    guard isRankZero else { return }
    do {
      try FileSystem.makeDirectory(directory)
      try AtomicFile.write("\(directory)/step-\(step.padded(to: 6)).jsonl") { file in
        for (prompt, samples) in zip(prompts, drawn) { try file.append(Self.line(prompt, samples[0])) }
      }
    } catch {
      log.warning("the answers after step \(step) cannot be written (\(error)); training goes on")
    }
  }

  private static func line(_ prompt: PromptText, _ continuation: Continuations.Continuation) -> [UInt8] {
    let row = JSONObject([
      ("prompt", .string(ByteString(prompt.text))), ("completion", .string(ByteString(continuation.text))),
      ("logp", .double(continuation.sample.logProbability)), ("finished", .bool(continuation.sample.isFinished)),
    ])
    return JSONValue.object(row).serialized() + [UInt8(ascii: "\n")]
  }
}
