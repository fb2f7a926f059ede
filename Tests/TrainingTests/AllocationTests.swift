import AlignmentCore
import CAllocationCounter
import Collectives
import JSON
import Kernels
import Objectives
import Optimization
import PreferenceData
import Synchronization
import Testing
import Training
import Transformer

/// The last of several ranks whose peers say nothing, so that only this rank's own work is seen.
private final class SilentCommunicator: Communicator {
  let size: Int
  let channel: SilentChannel
  var rank: Int { size - 1 }
  var hostRank: Int { rank }
  var hostSize: Int { size }

  init(size: Int) {
    self.size = size
    channel = SilentChannel(rank: size - 1, size: size)
  }

  func barrier() {}
  /// The others say that they have done their part.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {
    if root != rank, bytes.count == 3 { bytes.copyBytes(from: "ok ".utf8) }
  }
  func allReduce(_ operation: ReductionOperator, _ values: UnsafeMutableBufferPointer<Double>) {}
  func sum(_ values: UnsafeMutableBufferPointer<Int64>) {}
  func sum(_ values: UnsafeMutableBufferPointer<Float>) {}
  func exchange(
    send: UnsafeRawBufferPointer, to destination: Int, receive: UnsafeMutableRawBufferPointer, from source: Int
  ) {}
  func makeRingChannel() -> (any RingChannel)? { size > 1 ? channel : nil }
  func abort(code: Int32) -> Never { fatalError("abort with \(code)") }
}

/// A ring whose messages are always there; counts what its thread allocates between one and the next.
private final class SilentChannel: RingChannel {
  let rank: Int
  let size: Int
  let isCounting = Atomic<Bool>(false)
  let messages = Atomic<Int>(0)
  let allocations = Atomic<Int>(0)

  init(rank: Int, size: Int) { (self.rank, self.size) = (rank, size) }

  func start(send: UnsafeRawBufferPointer, receive: UnsafeMutableRawBufferPointer) {
    let count = allocation_counter_stop()
    guard isCounting.load(ordering: .relaxed) else { return }
    if messages.add(1, ordering: .relaxed).oldValue > 0 { allocations.add(Int(count), ordering: .relaxed) }
    allocation_counter_start()
  }

  func isDone() -> Bool { true }
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
      Case(type: "qwen3", objective: "dpo", settings: ["optimizer.name=adafactor", "optimizer.beta1=0.5"]),
      Case(type: "smollm3", objective: "dpo", settings: ["batch.unit_tokens=1000", "schedule.name=cosine"]),
      Case(type: "llama", objective: "dpo", settings: ["objective.reference_sync=2", "objective.humanline=yes"]),
      Case(type: "llama", objective: "dpo", settings: ["objective.weighting=wpo"]),
      Case(type: "qwen3", objective: "ipo", settings: ["objective.weighting=is_daa", "objective.group_dro=true"]),
      Case(type: "qwen3", objective: "dpo", settings: ["lora.rank=16"]),
      Case(type: "llama", objective: "kto", settings: ["lora.rank=16", "lora.target_modules=[k_proj, up_proj]"]),
      Case(
        type: "mistral", objective: "bradley_terry", settings: ["lora.rank=16", "optimizer.head.max_grad_norm=0.1"]),
      Case(type: "qwen2", objective: "ppo", settings: ["reward.name=gold", "lora.rank=16"]),
    ]
    + PolicyObjectiveRegistry.all.map { Case(type: "llama", objective: $0.name, settings: ["reward.name=gold"]) }
    + GRPO.Kind.allCases.map {
      Case(
        type: "llama", objective: "grpo",
        settings: ["reward.name=gold", "objective.beta=0.1", "objective.loss_type=\($0.rawValue)"])
    }

  @Test(arguments: cases, [1, 3])
  func aStepAllocatesNothing(example: Case, ranks: Int) throws {
    let directory = try TemporaryDirectory()
    let configuration = try configuration(
      ["objective.name=\(example.objective)", "batch.unit_tokens=60", "communication=overlapped"]
        + example.settings)
    let kind = configuration.loss?.objective.traits.groupKind
    let dataset =
      try kind.map { try TrainingTests.dataset(directory, for: $0) }
      ?? TrainingTests.dataset(directory, selection: .all)
    let task = try task(configuration, dataset)
    let communicator = SilentCommunicator(size: ranks)
    let trainer = try trainer(example.type, configuration, dataset, over: communicator)
    // A batch of everything, some of two examples and one of one: the largest and the smallest units.
    let batches = [Array(0..<dataset.count)] + (0..<4).map { [$0, $0 + 5] } + [[3]]
    let plans = try batches.map { try trainer.plan($0, of: task) }
    for (step, plan) in plans.enumerated() { _ = try trainer.step(step, plan, of: task) }
    for (step, plan) in plans.enumerated() {
      let (count, origins) = try fewestAllocations { _ = try trainer.step(step, plan, of: task) }
      #expect(count == 0, "\(count) allocations in step \(step):\n\(origins)")
    }
    let channel = communicator.channel
    channel.isCounting.store(true, ordering: .relaxed)
    for (step, plan) in plans.enumerated() { _ = try trainer.step(step, plan, of: task) }
    #expect((channel.messages.load(ordering: .relaxed) > 0) == (ranks > 1))
    #expect(channel.allocations.load(ordering: .relaxed) == 0, "the thread of communication allocates")
  }

  // Between the first and the last step of a unit: samples end meanwhile, and blocks of keys begin.
  @Test(arguments: ModelConfiguration.supportedTypes)
  func aStepOfDecodingAllocatesNothing(type: String) throws {
    BLAS.threads = 1
    let json = """
      {"model_type": "\(type)", "vocab_size": 75, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 4,
       "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 16, "sliding_window": 7}
      """
    let c = try ModelConfiguration(json: try JSONValue.parse(Array(json.utf8)), path: "config.json")
    let parameters = try FloatBuffer(count: ParameterLayout(c).count, purpose: "test")
    let stream = RandomStream(seed: 1, purpose: .initialization)
    for i in 0..<parameters.count { parameters.view.base[i] = Float(stream.normal(at: i)) * 0.2 }
    let prompts: [[Int32]] = [[3, 4, 5], [6], Array(Int32(7)..<27)]
    let sampler = try Sampler(
      c, capacity: DecodingCapacity(c, promptLengths: prompts.map(\.count), samples: 15, newTokens: 40))
    var settings = SamplingSettings(seed: 2, maxNewTokens: 40)
    (settings.topK, settings.topP, settings.repetitionPenalty, settings.temperature) = (50, 0.95, 1.1, 0.9)
    settings.stopTokens = [9]
    let requests = prompts.enumerated().map { SampleRequest(prompt: $1, identity: $0, samples: 0..<5) }
    var (steps, origins) = (0, "")
    // The first time OpenBLAS may map its buffer.
    for round in 0..<2 {
      steps = 0
      let count = { (_: Int, running: Int) in
        if steps > 0, allocation_counter_stop() > 0, round > 0 {
          origins = String(cString: allocation_counter_origins())
        }
        steps += 1
        if running > 0 { allocation_counter_start() }
      }
      _ = try sampler.draw(requests, parameters: parameters.view, settings, step: count)
    }
    #expect(steps > 20 && origins.isEmpty, "step \(steps):\n\(origins)")
  }

  private func task(_ configuration: RunConfiguration, _ dataset: TokenizedDataset) throws -> any TrainingTask {
    guard let policy = configuration.policy else {
      let loss = try configuration.preferenceLoss
      return PreferenceTask(
        loss, data: ObjectiveData(dataset: dataset, reference: .forTests(dataset)),
        normalization: configuration.normalization, contextLength: 64,
        needsLiveReference: configuration.referenceSync.every > 0, weighting: loss.weighting,
        domains: try configuration.groupDRO.map { try RobustDomains($0, dataset) })
    }
    var rollout = Rollout(dataset)
    rollout.rewards = rollout.tokens.indices.map { Double($0 % 3) }
    rollout.old = (0..<(rollout.tokens.last?.upperBound ?? 0)).map { -4 - 0.1 * Double($0 % 5) }
    if policy.objective.needsReference { rollout.reference = rollout.old.map { $0 - 0.1 } }
    if policy.objective.needsValues { rollout.values = rollout.old.map { $0 + 4 } }
    return PolicyTask(
      policy.objective,
      Experience(
        dataset: dataset, rollout: rollout, advantages: policy.objective.advantages(of: rollout), isOnPolicy: false,
        maximumLength: 16))
  }

  /// A random model whose layers are multiples of 16 wide, as those of all published models are: for small products with
  /// 1 to 8 columns beyond a multiple of 16, OpenBLAS 0.3.21 allocates a buffer of its own on processors with AVX-512.
  private func trainer(
    _ type: String, _ configuration: RunConfiguration, _ dataset: TokenizedDataset, over communicator: any Communicator
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
    let traits = configuration.loss?.objective.traits
    let hasValues = configuration.policy?.objective.needsValues ?? false
    let head: ModelHead = traits?.output == .score ? .score : hasValues ? .languageModelWithValue : .languageModel
    let layout = ParameterLayout(shape, head: head)
    let trained = try configuration.lora.map { lora in
      TrainedParameters(
        layout, adapters: try lora.specifications(for: layout),
        whole: Set(layout.tensors.filter(\.belongsToScalarHead).map(\.name)))
    }
    let model = try LanguageModel(
      shape, head: head, capacity: capacity, trained: trained ?? TrainedParameters(all: layout),
      entropyOrder: configuration.loss?.weighting?.entropyOrder)
    let schedule = LearningRateSchedule(shape: configuration.schedule.shape, warmup: 2, totalSteps: 20)
    let trainer = try Trainer(
      configuration, model: model,
      needsReference: traits?.survey == .mismatched || configuration.referenceSync.every > 0,
      schedule: schedule, over: communicator)
    let stream = RandomStream(seed: 1, purpose: .initialization)
    try trainer.weights.begin(layout, seed: 1) { parameters in
      for i in 0..<parameters.count { parameters.base[i] = Float(stream.normal(at: i)) * 0.2 }
    }
    return trainer
  }
}
