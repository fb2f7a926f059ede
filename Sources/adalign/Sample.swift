import AlignmentCore
import ArgumentParser
import Training
import Transformer

/// `adalign sample --model DIR --prompts FILE --output FILE --max-new-tokens N`
struct Sample: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Draw completions of prompts, one JSON object for each prompt, in the order of the prompts.",
    discussion: """
      The model's distribution goes through the repetition penalty, the temperature, top-k, top-p and min-p, in this \
      order. The samples depend on the seed, not on the number of ranks.
      """)

  @Option(help: "Hugging Face model directory.")
  var model: String

  @Option(help: "JSONL rows with prompt; plain, .gz or .zst.")
  var prompts: String

  @Option(help: "Where the samples appear when they are complete.")
  var output: String

  @Option(help: "Most tokens of a sample.")
  var maxNewTokens: Int

  @Option(help: "Samples of each prompt.")
  var samples = 1

  @Option(help: "Seed of the random numbers.")
  var seed: UInt64 = 0

  @Option(help: "Divides the logits; 0 takes the likeliest token.")
  var temperature = 1.0

  @Option(help: "Keep the likeliest tokens up to this share of the probability.")
  var topP = 1.0

  @Option(help: "Keep so many of the likeliest tokens; 0 keeps all.")
  var topK = 0

  @Option(help: "Keep tokens with at least this share of the likeliest one's probability.")
  var minP = 0.0

  @Option(help: "Makes tokens that were there before less likely where it is above 1.")
  var repetitionPenalty = 1.0

  @Option(help: "A text that ends a sample and is cut off; the option may be given several times.")
  var stop: [String] = []

  @Option(help: "Id of another token that ends a sample; the option may be given several times.")
  var stopToken: [Int32] = []

  @Option(help: "Text to add to every prompt.")
  var append = ""

  @Option(help: "Samples that are decoded together.")
  var unitSequences = SamplingLimits().sequences

  @Option(help: "BLAS threads per rank.")
  var threads = 1

  func run() throws {
    let communicator = try Session.begin()
    var file = SampleFile(model: model, prompts: prompts, output: output, settings: try settings())
    guard (1...4096).contains(unitSequences) else { throw Fault(.usage, "--unit-sequences must be from 1 to 4096") }
    guard (1...1024).contains(threads) else { throw Fault(.usage, "--threads must be from 1 to 1024") }
    guard stop.allSatisfy({ !$0.isEmpty }) else {
      throw Fault(.usage, "--stop must not be empty", hint: "leave the option out to stop at no text")
    }
    file.stopStrings = stop
    file.suffix = append
    file.limits.sequences = unitSequences
    file.threads = threads
    try file.write(over: communicator)
    Session.end(0)
  }

  private func settings() throws -> SamplingSettings {
    var settings = SamplingSettings(seed: seed, maxNewTokens: maxNewTokens)
    settings.samples = samples
    settings.repetitionPenalty = repetitionPenalty
    settings.temperature = temperature
    settings.topK = topK
    settings.topP = topP
    settings.minP = minP
    settings.stopTokens = Set(stopToken)
    if let (name, expectation) = settings.problem {
      throw Fault(.usage, "--\(name.split(separator: "_").joined(separator: "-")) must be \(expectation)")
    }
    return settings
  }
}
