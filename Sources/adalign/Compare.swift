import AlignmentCore
import ArgumentParser
import Checkpoints
import Training

/// `adalign compare --run NAME=DIR … --from NAME --to NAME`
struct Compare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare adaptations of one policy: scores of held-out prompts, and how much of a gap each has closed.")

  @Option(name: .customLong("run"), help: "NAME=DIR, a run of adalign adapt that evaluates; once for each row.")
  var runs: [String]

  @Option(help: "The run that has closed nothing of the gap, such as one on the source data alone.")
  var from: String

  @Option(help: "The run that has closed all of it, such as one on true labels of the target.")
  var to: String

  @Option(help: "Where the comparison appears as an HTML page.")
  var report: String?

  @Option(help: "Title of the page.")
  var title = "Adaptation"

  func run() throws {
    try Session.onFirstRank {
      let comparison = try AdaptationComparison(runs: runs.map(Self.named), from: from, to: to)
      print(TextTable.aligned(comparison.table), terminator: "")
      guard let report else { return }
      try AtomicFile.write(report, Array(comparison.html(title: title).utf8))
    }
  }

  private static func named(_ text: String) throws -> (name: String, directory: String) {
    let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
    guard parts.count == 2 else {
      throw Fault(.usage, "\"\(text)\" is no named run", hint: "write --run NAME=DIR")
    }
    return (parts[0], parts[1])
  }
}
