import AlignmentCore
import ArgumentParser
import Training

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

  @Option(help: "Directory of a PEFT adapter of the model.")
  var adapter: String?

  @Option(help: "JSONL rows with prompt; plain, .gz or .zst.")
  var prompts: String

  @Option(help: "Where the samples appear when they are complete.")
  var output: String

  @Option(help: "Most tokens of a sample.")
  var maxNewTokens: Int

  @Option(help: "Samples of each prompt.")
  var samples = 1

  @OptionGroup var sampling: SamplingOptions

  @Option(help: "Text to add to every prompt.")
  var append = ""

  @Option(help: "BLAS threads per rank.")
  var threads = 1

  func run() throws {
    let communicator = try Session.begin()
    let settings = try sampling.settings(maxNewTokens: maxNewTokens, samples: samples)
    var file = SampleFile(model: model, prompts: prompts, output: output, settings: settings)
    guard (1...1024).contains(threads) else { throw Fault(.usage, "--threads must be from 1 to 1024") }
    file.adapter = adapter
    file.stopStrings = sampling.stop
    file.suffix = append
    file.limits.sequences = sampling.unitSequences
    file.threads = threads
    try Session.tellPlacement(threads: threads, over: communicator)
    try file.write(over: communicator)
    Session.end(0)
  }
}
