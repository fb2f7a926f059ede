import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Transformer

/// What a model says to a fixed set of prompts while it is trained, for people to read: a file for each evaluation.
final class EvaluationSamples {
  private let prompts: [PromptText]
  private let source: ModelSource
  private let trainer: Trainer
  private let pass: SamplingPass
  private let settings: SamplingSettings
  private let directory: String

  /// Reads the prompts; nil if the recipe names none, or if the model has no words.
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
    settings.stopTokens = source.stopTokens
    let reader = PromptReader(source: source, data: configuration.data)
    prompts = try evaluation.prompts.flatMap(reader.read)
    self.settings = settings
    self.source = source
    self.trainer = trainer
    pass = SamplingPass(source.configuration, over: communicator)
    directory = "\(configuration.run)/samples"
  }

  /// Draws one sample of each prompt, with the same random numbers each time, and writes them as `step-NNNNNN.jsonl`.
  func write(step: Int, isRankZero: Bool) throws {
    let samples = try pass.draw(prompts.map(\.tokens), parameters: trainer.weights.model.view, settings)
    guard isRankZero else { return }
    try FileSystem.makeDirectory(directory)
    let digits = String(step)
    let name = "step-" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    try AtomicFile.write("\(directory)/\(name).jsonl") { file in
      for (prompt, samples) in zip(prompts, samples) { try file.append(line(prompt, samples[0])) }
    }
  }

  private func line(_ prompt: PromptText, _ sample: Sample) throws -> [UInt8] {
    let isStopped = sample.ids.last.map(settings.stopTokens.contains) ?? false
    let ids = isStopped ? sample.ids.dropLast() : sample.ids
    let text = try source.tokenizer.decode(Array(ids), skipSpecialTokens: true)
    let row = JSONObject([
      ("prompt", .string(ByteString(prompt.text))), ("completion", .string(ByteString(text))),
      ("logp", .double(sample.logProbability)), ("finished", .bool(sample.isFinished)),
    ])
    return JSONValue.object(row).serialized() + [UInt8(ascii: "\n")]
  }
}
