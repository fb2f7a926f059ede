import AlignmentCore
import ArgumentParser
import Checkpoints
import JSON
import Kernels
import ShiftExperiments

/// What the experiments with language models have in common.
struct PolicyShiftOptions: ParsableArguments {
  @Option(help: "Seeds, two or more: each draws prompts, responses and labels anew.")
  var seeds = 10

  @Option(help: "The first of the consecutive seeds.")
  var firstSeed: UInt64 = 9_000

  @Option(help: "Regimes, separated by commas: near, far.")
  var regimes = PolicyRegime.all.map(\.name).joined(separator: ",")

  @Option(help: "Labelled pairs of the source; the target has as many.")
  var pairs = PolicyScale().pairs

  @Option(
    name: .customLong("method"),
    help: "A method beside uniform and oracle, as tables name it; again for more, all by default.")
  var methodNames: [String] = []

  @Option(help: "A file for all figures as JSON, the outcomes of each seed included.")
  var output: String?

  func validate() throws {
    guard seeds >= 2 else { throw ValidationError("--seeds must be 2 or more: intervals need a spread") }
    guard pairs >= 100 else { throw ValidationError("--pairs must be 100 or more") }
    _ = try chosenRegimes()
    if let unknown = methodNames.first(where: { name in !PolicyMethod.all.contains { $0.name == name } }) {
      throw ValidationError("there is no method \(unknown): \(PolicyMethod.all.map(\.name).joined(separator: "; "))")
    }
  }

  /// Those of the experiment's methods that were asked for.
  func chosen(_ methods: [PolicyMethod]) -> [PolicyMethod] {
    guard !methodNames.isEmpty else { return methods }
    let names = Set(methodNames + [PolicyMethod.uniform.name, PolicyMethod.oracle.name])
    return PolicyMethod.all.filter { names.contains($0.name) }
  }

  func chosenRegimes() throws -> [PolicyRegime] {
    let names = regimes.split(separator: ",").map(String.init)
    let chosen = PolicyRegime.all.filter { names.contains($0.name) }
    guard !chosen.isEmpty, chosen.count == names.count else {
      throw ValidationError("--regimes names regimes that there are not: they are near and far")
    }
    return chosen
  }

  var allSeeds: [UInt64] { (0..<UInt64(seeds)).map { firstSeed + $0 } }

  /// Makes the models and tells what goes on.
  func models() throws -> PolicyModels {
    if let output { try FileSystem.checkParent(of: output) }
    BLAS.threads = 1
    Self.tell("training the language models")
    return try PolicyModels()
  }

  static func tell(_ line: String) { StandardError.write("\(line)\n") }

  func write(_ report: ComparisonReport) throws {
    print(report.markdown)
    if let output { try AtomicFile.write(output, report.json.serialized(pretty: true) + [10]) }
  }
}

/// `adalign-bench shift reward`: reward models of responses of language models, whose density ratio is known.
struct RewardShiftBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reward",
    abstract: "Reward models under a shift between two language models with a gold reward.",
    discussion: "Prints tables in Markdown.")

  @OptionGroup var options: PolicyShiftOptions

  func run() throws {
    let models = try options.models()
    var experiment = RewardModelExperiment(seeds: options.allSeeds)
    experiment.regimes = try options.chosenRegimes()
    experiment.scale.pairs = options.pairs
    experiment.methods = options.chosen(experiment.methods)
    let runs = try experiment.run(models, progress: PolicyShiftOptions.tell)
    try options.write(ComparisonReport("shift reward", runs, RewardModelExperiment.measures))
  }
}

/// `adalign-bench shift policy`: policies trained by DPO, by their gold reward at a matched divergence.
struct PolicyShiftBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "policy",
    abstract: "Policies trained under a shift between two language models, by their gold reward at equal divergence.",
    discussion: "Prints tables in Markdown.")

  @OptionGroup var options: PolicyShiftOptions

  @Option(help: "KL from the untrained policy, in nats, at which policies are compared.")
  var divergence = PolicyExperiment.Training().divergence

  @Option(help: "Learning rate.")
  var learningRate = PolicyExperiment.Training().learningRate

  @Option(help: "Passes over the pairs.")
  var passes = PolicyExperiment.Training().passes

  func run() throws {
    let models = try options.models()
    var experiment = PolicyExperiment(seeds: options.allSeeds)
    experiment.regimes = try options.chosenRegimes()
    experiment.scale.pairs = options.pairs
    experiment.methods = options.chosen(experiment.methods)
    (experiment.training.divergence, experiment.training.learningRate) = (divergence, learningRate)
    experiment.training.passes = passes
    let runs = try experiment.run(models, progress: PolicyShiftOptions.tell)
    try options.write(ComparisonReport("shift policy", runs, experiment.measures))
  }
}
