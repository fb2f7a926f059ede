import AlignmentCore
import Collectives
import Foundation
import JSON
import PreferenceData
import Testing
import Training
import Transformer

/// What a plan foretells, against what a run does.
@Suite struct PlanTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A recipe on a new model and rows of different lengths, 40 at most.
  private func configuration(_ settings: [String]) throws -> RunConfiguration {
    let rows = (0..<40).map { n in
      let (good, bad) = (String(repeating: "a", count: 1 + n % 11), String(repeating: "b", count: 1 + n * 7 % 13))
      return """
        {"prompt": "\(String(repeating: "p", count: 1 + n * 5 % 17))", "chosen": "\(good)", "rejected": "\(bad)", \
        "chosen_score": 1, "rejected_score": 0}
        """
    }
    let file = try directory.write("rows.jsonl", rows.joined(separator: "\n") + "\n")
    let recipe = """
      run: nowhere
      model: {initialize: {hidden_size: 32, intermediate_size: 64, layers: 3, heads: 2, context: 128}}
      data: {train: \(file)}
      batch: {size: 8, unit_tokens: 64}
      cache: \(directory.path)/cache
      """
    return try RunConfiguration(recipe: recipe, path: "test.yaml", overrides: settings)
  }

  // MARK: Memory

  @Test(
    "the arenas of a plan are those of the run",
    arguments: [
      ["objective.name=dpo"], ["objective.name=dpo", "optimizer.name=adafactor", "memory.activations_mb=1"],
      ["objective.name=bradley_terry"], ["objective.name=dpo", "lora.rank=2"], ["objective.name=kto"],
      ["objective.name=dpo", "objective.reference_sync=2", "reduction=fast"], ["objective.name=sft"],
      ["objective.name=ppo", "rollout.source=data", "reward.name=score"],
    ])
  func arenas(settings: [String]) throws {
    let configuration = try configuration(settings)
    let outline = try RunOutline(configuration, on: .init(hosts: 1, ranksPerHost: 1))
    let (setup, real) = try MemoryLedger.listing { try TrainingSetup(configuration, over: LocalCommunicator()) }
    // What was there before the trainer, to compute the log-probabilities of the reference, is gone again.
    let trainer = real.suffix(outline.arenas.count)
    #expect(Array(trainer) == outline.arenas)
    #expect(
      outline.arenas.contains { $0.purpose == "gradient sums" && $0.bytes >= 4 * setup.trainer.model.trained.count })
  }

  @Test("with more ranks each has less of what is sharded, and shares what does not change")
  func sharding() throws {
    let bytes = { (arenas: [MemoryLedger.Entry], purpose: String) in
      arenas.filter { $0.purpose == purpose }.reduce(0) { $0 + $1.bytes }
    }
    let configuration = try configuration([
      "objective.name=kto", "model.initialize.hidden_size=128", "model.initialize.intermediate_size=384",
    ])
    let one = try RunOutline(configuration, on: .init(hosts: 1, ranksPerHost: 1)).arenas
    let four = try RunOutline(configuration, on: .init(hosts: 2, ranksPerHost: 2)).arenas
    let ratio = Double(bytes(one, "optimiser state")) / Double(bytes(four, "optimiser state"))
    #expect(abs(ratio - 4) < 0.2)
    #expect(bytes(one, "parameters") == bytes(four, "parameters"))
    #expect(four.first { $0.purpose == "reference weights" }?.isShared == true)
    #expect(one.allSatisfy { !$0.isShared })
  }

  @Test("a model that is much too large is planned in no memory")
  func reserving() throws {
    let configuration = try configuration([
      "objective.name=dpo", "model.initialize.hidden_size=8192", "model.initialize.intermediate_size=28672",
      "model.initialize.heads=64", "model.initialize.kv_heads=8", "model.initialize.layers=40",
    ])
    let before = Self.resident
    let outline = try RunOutline(configuration, on: .init(hosts: 4, ranksPerHost: 2))
    let total = outline.arenas.reduce(0) { $0 + $1.bytes }
    #expect(total > 1 << 39)
    #expect(Self.resident - before < 200 << 20)
  }

  private static var resident: Int {
    let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
    return (Int(text.split(separator: " ")[1]) ?? 0) * 4096
  }

  @Test("a host has what its ranks own, and once what they share")
  func need() {
    let need = MemoryNeed(
      [
        .init(purpose: "gradients", bytes: 100), .init(purpose: "logits", bytes: 10),
        .init(purpose: "reference weights", bytes: 50, isShared: true), .init(purpose: "gradients", bytes: 1),
      ], files: 7, ranksPerHost: 4)
    #expect(need.items.map(\.bytes) == [101, 50, 10])
    #expect(need.own == 111 && need.shared == 50 && need.host == 4 * 111 + 50 && need.resident == 168)
  }

  // MARK: Time

  @Test("operations of a unit are those of its products")
  func work() throws {
    var unit = WorkUnit()
    [Int32](0..<3).withUnsafeBufferPointer { unit.beginGroup(example: 0, slot: 0, prompt: $0) }
    [Int32](0..<2).withUnsafeBufferPointer { unit.addCompletion($0) }
    [Int32](0..<4).withUnsafeBufferPointer { unit.addCompletion($0) }
    let work = UnitWork(unit)
    // 3 of the prompt, 1 and 3 of the completions; the last token of either is no input.
    #expect(work.tokens == 7 && work.predictions == 6)
    // 1 + 2 + 3 in the prompt; 3 + 1; (3 + 1) + (3 + 2) + (3 + 3).
    #expect(work.pairs == 6 + 4 + 15)
    let c = try ModelFixture("llama-gqa").configuration
    let layer = c.hiddenSize * (c.projectionWidth + c.queryWidth) + 3 * c.hiddenSize * c.intermediateSize
    let linear = 2 * 7 * c.layerCount * layer + 2 * 6 * c.hiddenSize * c.vocabularySize
    let attention = 2 * 2 * 25 * c.queryWidth * c.layerCount
    #expect(work.forward(c, head: .languageModel) == Double(linear + attention))
    let all = TrainedParameters(all: ParameterLayout(c))
    #expect(work.training(c, head: .languageModel, trained: all) == Double(3 * (linear + attention)))
  }

  private static let rates = MachineRates(
    hosts: [.init(name: "a", ranks: 2, cores: 2, memory: 1 << 34, available: 1 << 33)], threads: 1,
    productsAlone: 2e11, products: 1e11, memoryBandwidth: 1e10, unitEfficiency: 0.5, process: 1 << 25,
    local: .init(latency: 1e-6, bandwidth: 5e9), remote: .init(latency: 5e-5, bandwidth: 1e8),
    disk: .init(directory: "/data", bandwidth: 1e9, latency: 0.01))

  @Test("what the exchange takes follows from the ring")
  func exchange() throws {
    let traffic = { (hosts: Int, ranks: Int, bytes: Int) in
      StepTraffic(
        trained: 8 << 20, merged: 0, optimizerState: 0, sumBytes: bytes, hosts: hosts, ranksPerHost: ranks)
    }
    #expect(traffic(1, 1, 8).exchange(Self.rates) == 0)
    // Half of 8 Mi sums of 8 bytes and of parameters of 4 over the link between hosts; 2 · 4 messages; 3 · 8 bytes added.
    let half = Double(4 << 20)
    let expected = half * 12 / 1e8 + 8 * 5e-5 + half * 24 / 1e10
    #expect(abs(try #require(traffic(2, 1, 8).exchange(Self.rates)) - expected) < 1e-9)
    let fast = half * 8 / 5e9 + 8 * 1e-6 + half * 12 / 1e10
    #expect(abs(try #require(traffic(1, 2, 4).exchange(Self.rates)) - fast) < 1e-9)
    var unknown = Self.rates
    unknown.remote = nil
    #expect(traffic(2, 2, 8).exchange(unknown) == nil)
  }

  @Test("rates are read as they were written, and missing ones are named")
  func codec() throws {
    let json = try JSONValue.parse(Self.rates.json.serialized(pretty: true))
    #expect(try MachineRates(json: json, path: "rates.json") == Self.rates)
    let message = fault(.data) {
      _ = try MachineRates(json: JSONValue.parse(Array(#"{"threads": 1}"#.utf8)), path: "rates.json")
    }
    #expect(message.contains("sgemm_gflops_alone") && message.contains("doctor"))
  }

  @Test("a run that does not fit is told what would")
  func advice() throws {
    let request = RunPlan.Request(hosts: 1, ranksPerHost: 2, rates: Self.rates, memory: 70 << 20) {
      try configuration(["objective.name=dpo", "batch.unit_tokens=4096", "model.initialize.layers=2"] + $0)
    }
    let plan = try RunPlan(request, host: "a")
    #expect(!plan.fits && plan.memory.host > plan.available)
    #expect(plan.advice.contains { $0.hasPrefix("batch.unit_tokens=2048 needs") })
    #expect(plan.text.contains("DOES NOT FIT"))
    #expect(plan.time.total > 0 && plan.time.exchangeShare < 1)
  }
}
