import ArgumentParser
import Training

/// `adalign merge --model DIR --adapter DIR --output DIR`
struct Merge: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a model with an adapter added to its weights, as transformers loads it.")

  @Option(help: "Hugging Face model directory.")
  var model: String

  @Option(help: "Directory of a PEFT adapter of the model.")
  var adapter: String

  @Option(help: "New directory for the merged model.")
  var output: String

  func run() throws {
    try Session.onFirstRank { try AdapterMerge(model: model, adapter: adapter, output: output).write() }
  }
}
