import AlignmentCore
import ArgumentParser
import Training

/// `adalign tokenize --model DIR --input FILE --output FILE`
struct Tokenize: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Turn rows {\"text\": …} into rows {\"ids\": […]}.")

  @Option(help: "Directory with tokenizer.json.")
  var model: String

  @Option(help: "JSONL rows with text; plain, .gz or .zst.")
  var input: String

  @Option(help: "Where the ids appear when they are complete.")
  var output: String

  @Flag(inversion: .prefixedNo, help: "Add the special tokens of the tokenizer's own template, such as BOS.")
  var specialTokens = true

  func run() throws {
    try Session.onFirstRank {
      try TokenizeFile(model: model, input: input, output: output, addsSpecialTokens: specialTokens).write()
    }
  }
}
