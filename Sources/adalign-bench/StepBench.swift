import AlignmentCore
import ArgumentParser
import Checkpoints
import Collectives
import JSON
import Kernels
import Optimization
import PreferenceData
import Training
import Transformer

#if canImport(Glibc)
  import Glibc
#endif

/// `adalign-bench step RECIPE key=value …`: the optimiser step of a run, against the GEMM limit.
struct StepBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "step",
    abstract: "Time optimiser steps of a recipe and compare them with the matrix products they cannot do without.")

  @Argument(help: "A YAML recipe.")
  var recipe: String

  @Argument(help: "Settings that replace the recipe's, as key.path=value.")
  var overrides: [String] = []

  @Option(help: "Optimiser steps to time.")
  var count = 8

  func run() throws {
    let communicator = try launchedRanks()
    let text = String(decoding: try FileSystem.readWhole(recipe), as: UTF8.self)
    let configuration = try RunConfiguration(recipe: text, path: recipe, overrides: overrides)
    BLAS.threads = configuration.threads
    let bench = try StepMeasurement(configuration, over: communicator)
    let result = try bench.run(steps: count)
    if communicator.rank == 0 { emit(result) }
    (communicator as? MPICommunicator)?.finalize()
  }
}

/// A trainer and batches, timed.
private struct StepMeasurement {
  let configuration: RunConfiguration
  let communicator: any Communicator
  let setup: TrainingSetup
  let task: PreferenceTask
  let data: TokenizedDataset
  let preparationSeconds: Double

  init(_ configuration: RunConfiguration, over communicator: any Communicator) throws {
    self.configuration = configuration
    self.communicator = communicator
    let begin = now()
    setup = try TrainingSetup(configuration, over: communicator)
    guard let preferences = setup.preferences else {
      throw Fault(.configuration, "steps on preferences are timed, not rollouts", at: "objective.name", hint: "use dpo")
    }
    task = preferences
    data = preferences.data.dataset
    try setup.loadWeights()
    preparationSeconds = now() - begin
  }

  /// One pass over the first batches for warm-up, then `steps` timed ones.
  func run(steps: Int) throws -> [(String, JSONValue)] {
    let size = configuration.batch.size
    let batches = (0..<steps).map { step in (0..<size).map { (step * size + $0) % data.count } }
    try setup.step(0, batches[0])
    let rateBefore = BLAS.measureRate()
    var times: [Double] = []
    for (index, batch) in batches.enumerated() {
      try communicator.barrier()
      let begin = now()
      try setup.step(index + 1, batch)
      times.append(now() - begin)
    }
    let rate = max(rateBefore, BLAS.measureRate())
    let work = batches.reduce(0) { $0 + operations(ofBatch: $1, task) }
    let total = times.reduce(0, +)
    let limit = work / (rate * 1e9) / Double(communicator.size * configuration.threads)
    let sorted = times.sorted()
    return [
      ("benchmark", .string("step")),
      ("ranks", .integer(Int64(communicator.size))), ("threads", .integer(Int64(configuration.threads))),
      ("parameters", .integer(Int64(setup.trainer.model.layout.count))), ("batch", .integer(Int64(size))),
      ("steps", .integer(Int64(steps))),
      ("examples_per_second", .double(Double(size * steps) / total)), ("step_p50", .double(sorted.percentile(0.5))),
      ("step_p95", .double(sorted.percentile(0.95))), ("sgemm_gflops", .double(rate)),
      ("gemm_limit_fraction", .double(limit / total)),
      ("gigaflop_per_example", .double(work / 1e9 / Double(size * steps))),
      ("preparation_seconds", .double(preparationSeconds)), ("peak_mebibytes", .integer(Int64(peakMemory >> 20))),
    ]
  }

  /// Floating-point operations of a batch that no implementation with shared prompts can avoid: forward and backward of its
  /// examples, and forward of what the objective must know before.
  private func operations(ofBatch examples: [Int], _ task: PreferenceTask) -> Double {
    let own = examples.reduce(0) { $0 + 3 * operations(ofExample: $1) }
    guard let survey = task.survey(of: examples) else { return own }
    let model = setup.trainer.model
    let cost = WorkCost(model.configuration, head: model.head)
    let pass = survey.indices.reduce(0) { sum, index in
      let size = survey.groups.size(ofGroup: index)
      return sum + Double(size.tokens) * cost.perToken + Double(size.predictions) * cost.perPrediction
    }
    return own + pass * (survey.needsReference ? 2 : 1)
  }

  /// Operations of a forward pass of an example.
  private func operations(ofExample index: Int) -> Double {
    let model = setup.trainer.model
    let c = model.configuration
    let record = data.example(index)
    let cost = WorkCost(c, head: model.head)
    // A completion that is scored as a whole has its last token as an input, too, and one prediction.
    let scored = model.head == .score ? 1 : 0
    var tokens = record.promptLength
    var predictions = 0
    var scores = record.promptLength * (record.promptLength + 1) / 2
    for k in 0..<record.completionCount {
      let length = data.completionLength(index, k) - 1 + scored
      tokens += length
      predictions += model.head == .score ? 1 : length + 1
      scores += length * record.promptLength + length * (length + 1) / 2
    }
    let attention = Double(4 * scores * c.queryWidth * c.layerCount)
    return Double(tokens) * cost.perToken + Double(predictions) * cost.perPrediction + attention
  }
}
