import AlignmentCore
import ArgumentParser
import Training

/// `adalign weigh --data FILE --model POLICY --output DIR`
struct Weigh: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Weigh preference data towards what a policy says, with a report.",
    discussion: """
      The directory gets data.jsonl (the rows with their weights), weights.jsonl (for data.weights), report.json and \
      report.html. Weights that a gate refuses are replaced as fallback=… says: uniform (the default), shrink or error. \
      The same files come out on any number of ranks. adalign list shows the estimators.
      """)

  @Option(help: "JSONL rows with prompt and completions; plain, .gz or .zst; the option may be given several times.")
  var data: [String]

  @Option(help: "Hugging Face model directory of the policy.")
  var model: String

  @Option(help: "Directory of a PEFT adapter of the policy.")
  var adapter: String?

  @Option(help: "New directory for the results.")
  var output: String

  @Option(help: "What estimates density ratios; discriminator by default.")
  var estimator: String?

  @Option(
    help: "Samples of the policy, as rows of prompt and completions or as adalign sample wrote them for the data.")
  var samples: String?

  @Option(name: .customLong("source-model"), help: "Directory of a model that wrote the data; several are a mixture.")
  var sourceModels: [String] = []

  @Option(help: "Directory of a reward model, for rso.")
  var rewardModel: String?

  @Option(help: "Weights of an earlier time, whose log-ratios are used again; the estimator is cached.")
  var stored: String?

  @OptionGroup var scoring: ScoringOptions

  @Argument(help: "Settings of estimator and weights as key=value.")
  var settings: [String] = []

  func run() throws {
    let communicator = try Session.begin()
    try scoring.check()
    var weighing = Weighing(try weighingSettings(), data: data, model: .directory(model))
    weighing.adapter = adapter
    weighing.encoding = ResponseEncoding(boundary: scoring.boundary, maxLength: scoring.maxLength)
    weighing.unitTokens = scoring.unitTokens
    weighing.threads = scoring.threads
    try Session.tellPlacement(threads: scoring.threads, over: communicator)
    try weighing.write(to: output, over: communicator)
    Session.end(0)
  }

  private func weighingSettings() throws -> WeighingSettings {
    let one = { (value: String?) in value.map { [$0] } ?? [] }
    return try WeighingSettings(
      overrides: settings,
      given: [
        "estimator": one(estimator), "samples": one(samples), "source_models": sourceModels,
        "reward_model": one(rewardModel), "stored": one(stored),
      ])
  }
}
