import AlignmentCore
import Collectives
import Kernels
import Testing
import Training
import Transformer

/// Sampling passes over ranks, units and rounds.
@Suite struct SamplingPassTests {
  private let fixture: ModelFixture
  private let parameters: FloatBuffer

  init() throws {
    BLAS.threads = 1
    fixture = try ModelFixture("qwen3")
    parameters = try FloatBuffer(count: fixture.layout.count, purpose: "test")
    try fixture.load(into: parameters.view)
  }

  /// Prompts of 1 to 9 tokens.
  private static let prompts: [[Int32]] = (0..<11).map { (i: Int) -> [Int32] in
    (0...(i * 5 % 9)).map { (k: Int) -> Int32 in Int32((i * 13 + k * 7) % 90 + 3) }
  }

  private func settings(samples: Int = 3, maxNewTokens: Int = 10) -> SamplingSettings {
    var settings = SamplingSettings(seed: 4, maxNewTokens: maxNewTokens)
    settings.samples = samples
    settings.topP = 0.97
    // Some samples end early, so that batches shrink.
    settings.stopTokens = [5, 17, 30, 44, 61, 80]
    return settings
  }

  private func draw(
    ranks: Int, prompts: [[Int32]] = prompts, _ settings: SamplingSettings, limits: SamplingLimits = SamplingLimits()
  ) throws -> [[[Sample]]] {
    let (configuration, view) = (fixture.configuration, parameters.view)
    return try LocalCommunicator.run(ranks: ranks) { communicator in
      try SamplingPass(configuration, limits: limits, over: communicator).draw(
        prompts, parameters: view, settings)
    }
  }

  @Test(arguments: [1, 2, 4, 7])
  func everyRankHasTheSameSamplesOnAnyNumberOfThem(ranks: Int) throws {
    let limits = SamplingLimits(sequences: 8)
    let alone = try draw(ranks: 1, settings(), limits: limits)[0]
    #expect(alone.count == 11 && alone.allSatisfy { $0.count == 3 })
    #expect(Set(alone.joined().map(\.ids.count)).count > 3 && alone.joined().contains { !$0.isFinished })
    for samples in try draw(ranks: ranks, settings(), limits: limits) { #expect(samples == alone) }
  }

  // What holds beyond the contract where products are computed here: units do not matter either.
  @Test func unitsAndTheNumberOfSamplesDoNotMatter() throws {
    guard SkinnyProduct.isOwn else { return }
    let whole = try draw(ranks: 1, settings(samples: 5))[0]
    for limits in [SamplingLimits(sequences: 1), SamplingLimits(sequences: 4), SamplingLimits(cacheBytes: 150_000)] {
      #expect(try draw(ranks: 2, settings(samples: 5), limits: limits)[1] == whole)
    }
    for samples in 1...4 {
      #expect(try draw(ranks: 1, settings(samples: samples))[0] == whole.map { Array($0[..<samples]) })
    }
  }

  @Test func aPassIsUsedAgainWithOtherParametersAndLongerPrompts() throws {
    let pass = SamplingPass(fixture.configuration, over: LocalCommunicator())
    let first = try pass.draw(Self.prompts, parameters: parameters.view, settings())
    let few = try pass.draw([Self.prompts[4]], identities: [4], parameters: parameters.view, settings())
    if SkinnyProduct.isOwn { #expect(few == [first[4]]) }
    let long = Self.prompts.map { Array(repeating: $0, count: 3).flatMap { $0 } }
    let longer = try pass.draw(long, parameters: parameters.view, settings(samples: 4, maxNewTokens: 20))
    let alone = try draw(ranks: 1, prompts: long, settings(samples: 4, maxNewTokens: 20))[0]
    #expect(longer == alone)
    for i in 0..<parameters.count { parameters.view.base[i] *= 1.1 }
    let changed = try pass.draw(Self.prompts, parameters: parameters.view, settings())
    #expect(changed != first)
    let expected = try draw(ranks: 1, settings())[0]
    #expect(changed == expected)
  }

  @Test func noPromptsAreNoSamples() throws {
    #expect(try draw(ranks: 2, prompts: [], settings()) == [[], []])
  }

  @Test func promptsWithoutRoomAreNamed() throws {
    let full = [Int32](repeating: 5, count: fixture.configuration.contextLength)
    for (prompt, words) in [(full, "prompt 1 has 64 tokens"), ([], "prompt 1 has 0 tokens")] {
      let message = fault(.data) { _ = try draw(ranks: 1, prompts: [[5], prompt], settings()) }
      #expect(message.contains(words), "\(message)")
    }
    let almost = try draw(ranks: 1, prompts: [Array(full.dropLast())], settings())[0]
    #expect(almost[0].allSatisfy { $0.ids.count == 1 })
  }
}

/// How prompts are cut into units.
@Suite struct SamplingPlanTests {
  private func plan(
    _ lengths: [Int], samples: Int, _ limits: SamplingLimits, newTokens: Int = 16
  ) throws -> SamplingPlan {
    var settings = SamplingSettings(seed: 0, maxNewTokens: newTokens)
    settings.samples = samples
    return SamplingPlan(
      promptLengths: lengths, settings: settings, configuration: try ModelFixture("llama-gqa").configuration,
      limits: limits)
  }

  /// All samples in the order of the units.
  private func samples(_ plan: SamplingPlan) -> [[Int]] {
    plan.units.joined().flatMap { part in part.samples.map { [part.prompt, $0] } }
  }

  @Test(arguments: [1, 2, 3, 8, 64, 100], [1, 7, 40, 200])
  func everySampleIsInOneUnitAndUnitsAreAlike(samples: Int, prompts: Int) throws {
    let plan = try plan((0..<prompts).map { 1 + $0 % 20 }, samples: samples, SamplingLimits(sequences: 64))
    #expect(self.samples(plan) == (0..<prompts).flatMap { p in (0..<samples).map { [p, $0] } })
    let sizes = plan.units.map { $0.reduce(0) { $0 + $1.samples.count } }
    #expect(sizes.allSatisfy { $0 <= 64 } && plan.capacity.sequences == sizes.max())
    // Two times what is needed at most, and few enough for samples to be worth computing together.
    #expect(plan.units.count <= max(8, 2 * ((prompts * samples + 63) / 64)))
  }

  @Test func memoryBoundsAUnit() throws {
    let c = try ModelFixture("llama-gqa").configuration
    let one = 4 * DecodingCapacity.cacheFloats(c, promptLengths: [20], samples: 1, newTokens: 16)
    let plan = try plan([20, 20, 20], samples: 4, SamplingLimits(cacheBytes: 2 * one))
    #expect(samples(plan) == (0..<3).flatMap { p in (0..<4).map { [p, $0] } })
    #expect(plan.units.allSatisfy { $0.count == 1 } && 4 * plan.capacity.cacheFloats <= 2 * one)
    // Less than one sample needs is as if it were enough for one.
    #expect(try self.plan([20], samples: 3, SamplingLimits(cacheBytes: 1)).units.count == 3)
  }
}
