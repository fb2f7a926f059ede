import AlignmentCore
import ArgumentParser
import Checkpoints
import Collectives
import JSON
import Kernels
import PreferenceData
import Training
import Transformer

/// `adalign-bench sample --model DIR --prompts FILE`: samples per second, against the GEMM limit.
struct SampleBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sample",
    abstract: "Time the sampler and compare it with the matrix products it cannot do without.",
    discussion: "First holds what the decoder finds likeliest against the plain forward pass.")

  @Option(help: "Hugging Face model directory.")
  var model: String

  @Option(help: "JSONL rows with prompt.")
  var prompts: String

  @Option(help: "Prompts to take from the file.")
  var count = 8

  @Option(help: "Samples of each prompt.")
  var samples = 4

  @Option(help: "Tokens of each sample.")
  var newTokens = 128

  @Option(help: "Temperature.")
  var temperature = 1.0

  @Option(help: "Share of the probability that is kept.")
  var topP = 1.0

  @Option(help: "Number of tokens that are kept; 0 keeps all.")
  var topK = 0

  @Option(help: "Times that all samples are drawn.")
  var rounds = 3

  @Option(help: "BLAS threads.")
  var threads = 1

  func run() throws {
    BLAS.threads = threads
    var settings = SamplingSettings(seed: 0, maxNewTokens: newTokens)
    settings.samples = samples
    settings.temperature = temperature
    settings.topP = topP
    settings.topK = topK
    if let (name, expectation) = settings.problem { throw Fault(.usage, "\(name) must be \(expectation)") }
    guard count > 0, rounds > 0 else { throw Fault(.usage, "--count and --rounds must be positive") }
    let measurement = try SampleMeasurement(model: model, prompts: prompts, count: count)
    try measurement.check(newTokens: min(newTokens, 32))
    emit(try measurement.run(settings, rounds: rounds))
  }
}

/// A model and prompts to sample from.
private struct SampleMeasurement {
  /// Of a log-probability summed over some 32 tokens in Float32, in two ways.
  private static let tolerance = 1e-3

  let source: ModelSource
  let parameters: FloatBuffer
  let prompts: [[Int32]]

  init(model: String, prompts path: String, count: Int) throws {
    source = try ModelSource(.directory(model))
    let layout = ParameterLayout(source.configuration)
    parameters = try FloatBuffer(count: layout.count, purpose: "parameters")
    try source.loadParameters(layout, into: parameters.view)
    let reader = try RowReader(path: path)
    var prompts: [[Int32]] = []
    while prompts.count < count, let row = try reader.next() {
      guard let text = try JSONValue.parse(row.bytes.get())["prompt"]?.byteString else {
        throw Fault(.data, "the row has no string \"prompt\"", at: "\(path):\(row.line)")
      }
      prompts.append(try source.tokenizer.encode(text.bytes, addSpecialTokens: true))
    }
    self.prompts = prompts
  }

  /// The log-probabilities of the tokens that the decoder finds likeliest must be what the unit forward pass gives.
  func check(newTokens: Int) throws {
    var settings = SamplingSettings(seed: 1, maxNewTokens: newTokens)
    settings.temperature = 0
    let pass = SamplingPass(source.configuration, over: LocalCommunicator())
    let samples = try pass.draw(prompts, parameters: parameters.view, settings)
    var unit = WorkUnit()
    for (index, (prompt, sample)) in zip(prompts, samples).enumerated() {
      prompt.withUnsafeBufferPointer { unit.beginGroup(example: index, slot: index, prompt: $0) }
      sample[0].ids.withUnsafeBufferPointer { unit.addCompletion($0) }
    }
    let capacity = UnitCapacity(
      tokens: unit.tokens.count, predictions: unit.targets.count,
      sequence: Int(unit.positions.max() ?? 0) + 1)
    let model = try LanguageModel(source.configuration, capacity: capacity, trained: nil)
    model.score(unit, parameters: parameters.view)
    for (completion, sample) in zip(unit.completions, samples) {
      let expected = model.output(of: completion)
      guard abs(sample[0].logProbability - expected) <= Self.tolerance * max(1, abs(expected)) else {
        throw Fault(
          .environment, "the decoder gives \(sample[0].logProbability) where the forward pass gives \(expected)",
          hint: "build again with ADALIGN_CPU=x86-64")
      }
    }
  }

  /// One round for warm-up, then the timed ones.
  func run(_ settings: SamplingSettings, rounds: Int) throws -> [(String, JSONValue)] {
    let pass = SamplingPass(source.configuration, over: LocalCommunicator())
    _ = try pass.draw(prompts, parameters: parameters.view, settings)
    let rateBefore = BLAS.measureRate()
    var (times, tokens, work) = ([Double](), 0, 0.0)
    for round in 0..<rounds {
      var settings = settings
      settings.seed = UInt64(round)
      let begin = now()
      let samples = try pass.draw(prompts, parameters: parameters.view, settings)
      times.append(now() - begin)
      tokens += samples.joined().reduce(0) { $0 + $1.ids.count }
      work += operations(samples)
    }
    let rate = max(rateBefore, BLAS.measureRate())
    let total = times.reduce(0, +)
    return [
      ("benchmark", .string("sample")), ("threads", .integer(Int64(BLAS.threads))),
      ("parameters", .integer(Int64(parameters.count))), ("prompts", .integer(Int64(prompts.count))),
      ("samples", .integer(Int64(settings.samples))), ("new_tokens", .integer(Int64(settings.maxNewTokens))),
      ("temperature", .double(settings.temperature)), ("top_p", .double(settings.topP)),
      ("top_k", .integer(Int64(settings.topK))), ("tokens_per_second", .double(Double(tokens) / total)),
      ("best_tokens_per_second", .double(Double(tokens) / Double(rounds) / (times.min() ?? total))),
      ("sgemm_gflops", .double(rate)), ("gemm_limit_fraction", .double(work / (rate * 1e9) / total)),
      ("megaflop_per_token", .double(work / 1e6 / Double(tokens))),
      ("peak_mebibytes", .integer(Int64(peakMemory >> 20))),
    ]
  }

  /// Floating-point operations of the layers for each prompt once and for each new token but the last of a sample, of the
  /// head for each new token, and of causal attention.
  private func operations(_ samples: [[Sample]]) -> Double {
    let cost = WorkCost(source.configuration)
    let perScore = Double(4 * source.configuration.queryWidth * source.configuration.layerCount)
    return zip(prompts, samples).reduce(0) { total, pair in
      let prompt = pair.0.count
      let own = pair.1.reduce(0.0) { sum, sample in
        let (new, inputs) = (sample.ids.count, sample.ids.count - 1)
        let scores = inputs * prompt + inputs * (inputs + 1) / 2
        return sum + Double(inputs) * cost.perToken + Double(new) * cost.perPrediction + Double(scores) * perScore
      }
      return total + own + Double(prompt) * cost.perToken + Double(prompt * (prompt + 1) / 2) * perScore
    }
  }
}
