import AlignmentCore
import ArgumentParser
import Checkpoints
import JSON
import Kernels
import PreferenceData
import ShiftExperiments

/// `adalign-bench shift selection`: reward models of real pairs, collected with a bias that is known.
struct SelectionShiftBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "selection",
    abstract: "Reward models of real, labelled pairs under a selection bias whose density ratio is known.",
    discussion: "Prints tables in Markdown. Selections that leave no gap are listed, too.")

  @Option(help: "Preference pairs with prompt, chosen and rejected: JSONL, plain, gzip or zstd.")
  var data: String

  @Option(help: "Draws of source, target and test, two or more.")
  var seeds = 24

  @Option(help: "The first of the consecutive seeds.")
  var firstSeed: UInt64 = 8_000

  @Option(help: "Precision of the prior of the reward model's coefficients.")
  var ridge = 60.0

  @Option(help: "A file for all figures as JSON, the gains of each seed included.")
  var output: String?

  func validate() throws {
    guard seeds >= 2 else { throw ValidationError("--seeds must be 2 or more: intervals need a spread") }
    guard ridge > 0, ridge < .infinity else { throw ValidationError("--ridge must be a number above 0") }
  }

  func run() throws {
    if let output { try FileSystem.checkParent(of: output) }
    BLAS.threads = 1
    let pairs = SelectionPairs(try Self.read(data))
    let experiment = SelectionExperiment(pairs, seeds: (0..<UInt64(seeds)).map { firstSeed + $0 }, ridge: ridge)
    func progress(_ line: String) { StandardError.write("\(line)\n") }
    let screening = try experiment.screen(progress: progress)
    let shifts = SelectionReport.selected(screening, prompts: pairs.promptCount)
    let report = SelectionReport(
      screening: screening, measurement: try experiment.run(shifts, progress: progress), prompts: pairs.promptCount)
    print("\(pairs.count) pairs of \(pairs.promptCount) prompts\n")
    print(report.markdown)
    if let output { try AtomicFile.write(output, report.json.serialized(pretty: true) + [10]) }
  }

  /// - Throws: ``Fault`` that names the line where a row is no pair, or the file where it has too few.
  private static func read(_ path: String) throws -> [LabelledPair] {
    let reader = try RowReader(path: path)
    var pairs: [LabelledPair] = []
    while let row = try reader.next() {
      let place = "\(path):\(row.line)"
      let decoded = try PreferenceRow(json: try row.bytes.get(), at: place)
      guard decoded.completions.map(\.role) == [.chosen, .rejected] else {
        throw Fault(.data, "the row is no pair", at: place, hint: "give rows of prompt, chosen and rejected")
      }
      pairs.append(
        LabelledPair(
          prompt: decoded.prompt, chosen: decoded.completions[0].text, rejected: decoded.completions[1].text))
    }
    guard pairs.count >= 200 else {
      throw Fault(.data, "\(pairs.count) pairs are too few for a source, a target and a test", at: path)
    }
    return pairs
  }
}
