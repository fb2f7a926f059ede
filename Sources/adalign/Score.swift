import AlignmentCore
import ArgumentParser
import PreferenceData
import Training

/// `adalign score --model DIR --data FILE --output FILE`
struct Score: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write the log-probabilities of completions, one JSON object for each row, in the order of the rows.")

  @Option(help: "Hugging Face model directory.")
  var model: String

  @Option(help: "JSONL rows with prompt and chosen, rejected or completion; plain, .gz or .zst.")
  var data: String

  @Option(help: "Where the results appear when they are complete.")
  var output: String

  @Option(help: "How prompt and completion meet: joined (as one text) or separate.")
  var boundary: EncodingOptions.Boundary = .joined

  @Flag(help: "Also write the log-probability of each token.")
  var perToken = false

  @Option(help: "Most tokens that are computed together.")
  var unitTokens = 2048

  @Option(help: "BLAS threads per rank.")
  var threads = 1

  func run() throws {
    let communicator = try Session.begin()
    guard (1...1 << 24).contains(unitTokens) else { throw Fault(.usage, "--unit-tokens must be from 1 to \(1 << 24)") }
    guard (1...1024).contains(threads) else { throw Fault(.usage, "--threads must be from 1 to 1024") }
    try ScoreFile(
      model: model, data: data, output: output, boundary: boundary, perToken: perToken, unitTokens: unitTokens,
      threads: threads
    ).write(over: communicator)
    Session.end(0)
  }
}

extension EncodingOptions.Boundary: ExpressibleByArgument {}
