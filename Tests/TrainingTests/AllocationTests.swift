import AlignmentCore
import CAllocationCounter
import Collectives
import JSON
import Kernels
import Objectives
import Optimization
import PreferenceData
import Testing
import Training
import Transformer

/// The last of several ranks whose peers say nothing, so that only this rank's own work is seen.
private final class SilentCommunicator: Communicator {
  let size: Int
  var rank: Int { size - 1 }
  var hostRank: Int { rank }
  var hostSize: Int { size }

  init(size: Int) { self.size = size }

  func barrier() {}
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {}
  func allReduce(_ operation: ReductionOperator, _ values: UnsafeMutableBufferPointer<Double>) {}
  func exchange(
    send: UnsafeRawBufferPointer, to destination: Int, receive: UnsafeMutableRawBufferPointer, from source: Int
  ) {}
  func abort(code: Int32) -> Never { fatalError("abort with \(code)") }
}

/// A training step allocates nothing once every arena and buffer has been used at its largest.
@Suite struct AllocationTests {
  /// Counts the heap allocations and mappings of the calling thread in `body`.
  private func allocations(_ body: () throws -> Void) rethrows -> (count: Int, origins: String) {
    allocation_counter_start()
    defer { allocation_counter_stop() }
    try body()
    let count = allocation_counter_stop()
    return (count, count == 0 ? "" : String(cString: allocation_counter_origins()))
  }

  /// The least of three counts: OpenBLAS maps another buffer where more threads than ever before, those of other tests, are
  /// in a product at the same time. What a step allocates itself it allocates each time.
  private func fewestAllocations(_ body: () throws -> Void) rethrows -> (count: Int, origins: String) {
    var fewest = try allocations(body)
    for _ in 0..<2 where fewest.count > 0 {
      let again = try allocations(body)
      if again.count < fewest.count { fewest = again }
    }
    return fewest
  }

  // A counter that counts nothing would pass every test.
  @Test func theCounterCounts() throws {
    var kept: [UnsafeMutableRawPointer] = []
    kept.reserveCapacity(8)
    let plain = allocations { kept.append(.allocate(byteCount: 100, alignment: 8)) }
    let aligned = allocations { kept.append(.allocate(byteCount: 100, alignment: 256)) }
    let nothing = allocations { kept.append(kept[0] + 8) }
    var array = [1]
    let growth = allocations { array.reserveCapacity(1_000) }
    var buffers: [FloatBuffer] = []
    buffers.reserveCapacity(1)
    let mapping = try allocations { buffers.append(try FloatBuffer(count: 1_000, purpose: "test")) }
    #expect(plain.count == 1 && aligned.count == 1 && nothing.count == 0 && growth.count == 1 && array.count == 1)
    // The object, its storage and the mapping.
    #expect(mapping.count == 3 && buffers[0].count == 1_000)
    #expect(mapping.origins.contains("+0x") && nothing.origins.isEmpty)
    kept[0].deallocate()
    kept[1].deallocate()
  }

  struct Case: CustomTestStringConvertible, Sendable {
    let type: String
    let objective: String
    let settings: [String]
    var testDescription: String { "\(type) \(objective) \(settings)" }
  }

  static let cases: [Case] =
    ModelConfiguration.supportedTypes.map { Case(type: $0, objective: "dpo", settings: []) }
    + ObjectiveRegistry.all.map {
      Case(type: "llama", objective: $0.name, settings: ["objective.normalization=weight"])
    }
    + [
      Case(type: "qwen3", objective: "dpo", settings: ["reduction=fast"]),
      Case(type: "qwen2", objective: "dpo", settings: ["optimizer.decay=all", "optimizer.weight_decay=0.1"]),
      Case(type: "smollm3", objective: "dpo", settings: ["batch.unit_tokens=1000", "schedule.name=cosine"]),
    ]

  @Test(arguments: cases, [1, 3])
  func aStepAllocatesNothing(example: Case, ranks: Int) throws {
    let directory = try TemporaryDirectory()
    let configuration = try configuration(
      ["objective.name=\(example.objective)", "batch.unit_tokens=60"] + example.settings)
    let traits = configuration.loss.objective.traits
    let dataset = try dataset(directory, for: traits.groupKind)
    let data = ObjectiveData(dataset: dataset, reference: .forTests(dataset))
    let task = PreferenceTask(
      configuration.loss, data: data, normalization: configuration.normalization, contextLength: 64)
    let trainer = try trainer(
      example.type, configuration, dataset, traits, over: SilentCommunicator(size: ranks))
    // A batch of everything, some of two examples and one of one: the largest and the smallest units.
    let batches = [Array(0..<dataset.count)] + (0..<4).map { [$0, $0 + 5] } + [[3]]
    let plans = try batches.map { try trainer.plan($0, of: task) }
    for (step, plan) in plans.enumerated() { _ = try trainer.step(step, plan, of: task) }
    for (step, plan) in plans.enumerated() {
      let (count, origins) = try fewestAllocations { _ = try trainer.step(step, plan, of: task) }
      #expect(count == 0, "\(count) allocations in step \(step):\n\(origins)")
    }
  }

  /// A random model whose layers are multiples of 16 wide, as those of all published models are: for small products with
  /// 1 to 8 columns beyond a multiple of 16, OpenBLAS 0.3.21 allocates a buffer of its own on processors with AVX-512.
  private func trainer(
    _ type: String, _ configuration: RunConfiguration, _ dataset: TokenizedDataset, _ traits: ObjectiveTraits,
    over communicator: any Communicator
  ) throws -> Trainer {
    BLAS.threads = 1
    let json = """
      {"model_type": "\(type)", "vocab_size": 75, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 4,
       "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 16, "sliding_window": 7}
      """
    let capacity = UnitCapacity(
      tokens: max(configuration.batch.unitTokens, dataset.maximumGroupTokens),
      predictions: 2 * configuration.batch.unitTokens, sequence: 64)
    let shape = try ModelConfiguration(json: try JSONValue.parse(Array(json.utf8)), path: "config.json")
    let head: ModelHead = traits.output == .score ? .score : .languageModel
    let model = try LanguageModel(
      shape, head: head, capacity: capacity, trained: TrainedParameters(all: ParameterLayout(shape, head: head)))
    let schedule = LearningRateSchedule(shape: configuration.schedule.shape, warmup: 2, totalSteps: 20)
    let trainer = try Trainer(
      configuration, model: model, needsReference: traits.survey == .mismatched, schedule: schedule, over: communicator)
    let stream = RandomStream(seed: 1, purpose: .initialization)
    let parameters = trainer.weights.trained
    for i in 0..<parameters.count { parameters.view.base[i] = Float(stream.normal(at: i)) * 0.2 }
    return trainer
  }
}
