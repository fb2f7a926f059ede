import AlignmentCore
import ArgumentParser
import Checkpoints
import JSON
import Kernels
import ShiftExperiments

/// `adalign-bench shift …`: which methods help under domain shift, and which do not.
struct ShiftBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "shift", abstract: "Compare methods of adaptation under a known domain shift; docs/evidence.md.",
    subcommands: [MarkovShiftBench.self, RewardShiftBench.self, PolicyShiftBench.self, SelectionShiftBench.self])
}

/// `adalign-bench shift markov`: reward models on texts of Markov chains, whose density ratio is known.
struct MarkovShiftBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "markov",
    abstract: "Reward models under a shift whose density ratio is known in closed form.",
    discussion: "Prints tables in Markdown. Ends with 1 if a required claim fails in a regime.")

  @Option(help: "Worlds of each regime, two or more.")
  var seeds = 24

  @Option(help: "The first of the consecutive seeds.")
  var firstSeed: UInt64 = 7_000

  @Option(help: "Regimes, separated by commas.")
  var regimes = MarkovRegime.all.map(\.name).joined(separator: ",")

  @Option(help: "A file for all figures as JSON, the gains of each seed included.")
  var output: String?

  func validate() throws {
    guard seeds >= 2 else { throw ValidationError("--seeds must be 2 or more: intervals need a spread") }
    _ = try chosenRegimes()
  }

  func run() throws {
    if let output { try FileSystem.checkParent(of: output) }
    BLAS.threads = 1
    var experiment = MarkovExperiment(seeds: (0..<UInt64(seeds)).map { firstSeed + $0 })
    experiment.regimes = try chosenRegimes()
    let runs = try experiment.run { StandardError.write("\($0)\n") }
    let report = MarkovReport(runs, law: try TemperLaw(seeds: experiment.seeds))
    print(report.markdown)
    if let output { try AtomicFile.write(output, report.json.serialized(pretty: true) + [10]) }
    for check in report.checks where !check.isAcceptable {
      StandardError.write("regime \(check.regime): it does not hold that \(check.claim)\n")
    }
    if !report.isAcceptable { throw ExitCode.failure }
  }

  private func chosenRegimes() throws -> [MarkovRegime] {
    let names = regimes.split(separator: ",").map(String.init)
    if let unknown = names.first(where: { name in !MarkovRegime.all.contains { $0.name == name } }) {
      throw ValidationError("there is no regime \(unknown): they are A, B, C and D")
    }
    guard !names.isEmpty else { throw ValidationError("--regimes names none: they are A, B, C and D") }
    return MarkovRegime.all.filter { names.contains($0.name) }
  }
}
