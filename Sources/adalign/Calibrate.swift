import ArgumentParser
import Training

/// `adalign calibrate --model DIR --data FILE --output DIR`
struct Calibrate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Fit the temperature of a reward model on held-out pairs and write the model with it.",
    discussion: """
      The temperature T minimises the negative log-likelihood of the pairs under σ((s⁺ − s⁻)/T). The new model's head is \
      divided by T; it orders completions as before. Prints T, and NLL, calibration error and Brier score before and after.
      """)

  @Option(help: "Directory of a reward model.")
  var model: String

  @Option(help: "JSONL rows with chosen and rejected that the model was not trained on; plain, .gz or .zst.")
  var data: String

  @Option(help: "New directory for the calibrated model.")
  var output: String

  @OptionGroup var scoring: ScoringOptions

  func run() throws {
    let communicator = try Session.begin()
    try scoring.check()
    var calibration = RewardCalibration(model: model, data: data, output: output)
    (calibration.boundary, calibration.maxLength) = (scoring.boundary, scoring.maxLength)
    calibration.unitTokens = scoring.unitTokens
    calibration.threads = scoring.threads
    let report = try calibration.run(over: communicator)
    if communicator.rank == 0 { print(String(decoding: report.serialized(), as: UTF8.self)) }
    Session.end(0)
  }
}
