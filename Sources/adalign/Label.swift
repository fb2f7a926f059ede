import AlignmentCore
import ArgumentParser
import Training

/// `adalign label --candidates FILE --output FILE key=value …`
struct Label: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Label responses to prompts with a judge: pairs for preference learning, or responses one by one.",
    discussion: """
      Settings are those of a recipe's label section, for example judge.name=reward_model judge.model=DIR \
      pairing.name=max_min filter.confidence=0.6. A key for an API judge is taken from the environment only.
      """)

  @Option(help: "JSONL rows with prompt and completions.")
  var candidates: String

  @Option(help: "Where the labelled rows appear when they are complete.")
  var output: String

  @Option(help: "Where statistics of labels and filters appear as JSON.")
  var statistics: String?

  @Option(help: "What to make: pairs or responses.")
  var form: LabelFile.Output = .pairs

  @Option(help: "BLAS threads per rank.")
  var threads = 1

  @Argument(help: "Settings of the label section, as key.path=value.")
  var settings: [String] = []

  func run() throws {
    guard (1...1024).contains(threads) else { throw Fault(.usage, "--threads must be from 1 to 1024") }
    let communicator = try Session.begin()
    var file = try LabelFile(candidates: candidates, output: output, overrides: settings)
    file.statistics = statistics
    file.form = form
    file.threads = threads
    try Session.tellPlacement(threads: threads, over: communicator)
    try file.write(over: communicator)
    Session.end(0)
  }
}

extension LabelFile.Output: ExpressibleByArgument {}
