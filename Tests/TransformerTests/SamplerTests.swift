import AlignmentCore
import Foundation
import JSON
import Kernels
import Testing
import Transformer

/// Samples as a whole: which tokens are drawn, how likely they were, and when a sample ends.
@Suite struct SamplerTests {
  // Two ways to compute logits near 10 in Float32, as a difference of probabilities.
  static let tolerance = 1e-4
  // The same for log-probabilities summed over a sample.
  static let sumTolerance = 5e-4
  static let newTokens = 12

  init() { BLAS.threads = 1 }

  private func settings(
    samples: Int = 2, maxNewTokens: Int = newTokens, _ change: (inout SamplingSettings) -> Void = { _ in }
  ) -> SamplingSettings {
    var settings = SamplingSettings(seed: 9, maxNewTokens: maxNewTokens)
    settings.samples = samples
    change(&settings)
    return settings
  }

  private func draw(
    _ fixture: ModelFixture, prompts: [Int] = [0, 1, 2, 3], _ settings: SamplingSettings,
    isStopped: Sampler.StopCheck? = nil
  ) throws -> [[Sample]] {
    let texts = prompts.map { fixture.pairs[$0].prompt }
    let newTokens = DecodingCapacity.newTokens(
      fixture.configuration, promptLengths: texts.map(\.count), atMost: settings.maxNewTokens)
    let capacity = DecodingCapacity(
      fixture.configuration, promptLengths: texts.map(\.count), samples: texts.count * settings.samples,
      newTokens: newTokens)
    let requests = zip(prompts, texts).map {
      SampleRequest(prompt: $1, identity: $0, samples: 0..<settings.samples)
    }
    return try Sampler(fixture.configuration, capacity: capacity).draw(
      requests, parameters: fixture.parameters.view, settings, isStopped: isStopped)
  }

  /// Log-probabilities of every token behind a sequence, each scored as a completion of one token.
  private func logProbabilities(_ fixture: ModelFixture, _ sequence: [Int32]) throws -> [Double] {
    let tokens = (0..<Int32(fixture.configuration.vocabularySize)).map { [$0] }
    let unit = WorkUnit([(sequence, tokens)])
    let model = try LanguageModel(fixture.configuration, capacity: UnitCapacity([unit]), trained: nil)
    model.score(unit, parameters: fixture.parameters.view)
    return Array(model.tokenLogProbabilities[..<tokens.count])
  }

  private func score(_ fixture: ModelFixture, _ prompt: [Int32], _ completion: [Int32]) throws -> Double {
    let unit = WorkUnit([(prompt, [completion])])
    let model = try LanguageModel(fixture.configuration, capacity: UnitCapacity([unit]), trained: nil)
    model.score(unit, parameters: fixture.parameters.view)
    return model.output(of: unit.completions[0])
  }

  @Test(arguments: ModelFixture.names)
  func temperatureZeroTakesTheLikeliestToken(name: String) throws {
    let fixture = try ModelFixture(name)
    for (index, samples) in try draw(fixture, settings { $0.temperature = 0 }).enumerated() {
      #expect(samples[0] == samples[1] && samples[0].ids.count == Self.newTokens)
      for end in samples[0].ids.indices {
        let reference = try logProbabilities(fixture, fixture.pairs[index].prompt + samples[0].ids[..<end])
        let difference = (reference.max() ?? 0) - reference[Int(samples[0].ids[end])]
        #expect(difference <= Self.tolerance)
      }
    }
  }

  // The token at place t of sample k is where the distribution function passes the number that (seed, prompt, k) has at t.
  @Test(arguments: ModelFixture.names, [0.5, 1.0])
  func samplesInvertTheDistributionFunction(name: String, temperature: Double) throws {
    let fixture = try ModelFixture(name)
    let settings = settings(samples: 3) { $0.temperature = temperature }
    for (index, samples) in try draw(fixture, settings).enumerated() {
      for (k, sample) in samples.enumerated() {
        let stream = RandomStream(seed: 9, purpose: .sampling, index, k)
        for end in sample.ids.indices {
          let weights = try logProbabilities(fixture, fixture.pairs[index].prompt + sample.ids[..<end]).map {
            exp($0 / temperature)
          }
          let (token, total) = (Int(sample.ids[end]), weights.reduce(0, +))
          let below = weights[..<token].reduce(0, +) / total
          let uniform = stream.uniform(at: end)
          #expect(uniform >= below - Self.tolerance && uniform <= below + weights[token] / total + Self.tolerance)
        }
      }
    }
  }

  @Test(arguments: ModelFixture.names)
  func logProbabilitiesAreThoseOfScoring(name: String) throws {
    let fixture = try ModelFixture(name)
    let settings = settings {
      ($0.temperature, $0.topK, $0.topP, $0.minP, $0.repetitionPenalty) = (0.8, 30, 0.9, 0.01, 1.2)
    }
    for (index, samples) in try draw(fixture, settings).enumerated() {
      for sample in samples {
        let prompt = fixture.pairs[index].prompt
        #expect(abs(sample.logProbability - (try score(fixture, prompt, sample.ids))) <= Self.sumTolerance)
      }
    }
  }

  // Without a repetition penalty the transforms see the logits up to a constant only.
  @Test(arguments: ["llama-gqa", "mistral", "qwen3"])
  func samplingLogProbabilitiesAreThoseOfTheTransformedDistribution(name: String) throws {
    let fixture = try ModelFixture(name)
    let settings = settings { ($0.temperature, $0.topK, $0.topP, $0.minP) = (0.8, 30, 0.913, 0.0171) }
    for (index, samples) in try draw(fixture, settings).enumerated() {
      for sample in samples {
        let expected = try sample.ids.indices.reduce(0.0) { sum, end in
          let logits = try logProbabilities(fixture, fixture.pairs[index].prompt + sample.ids[..<end])
          let kept = TokenSelectorTests.Expectation(logits.map(Float.init), seen: [], settings).logProbabilities
          return sum + (try #require(kept[Int(sample.ids[end])]))
        }
        #expect(abs(sample.samplingLogProbability - expected) <= Self.sumTolerance)
      }
    }
  }

  @Test func seedPromptAndSampleMakeTheDifference() throws {
    let fixture = try ModelFixture("llama-gqa")
    let first = try draw(fixture, settings())
    #expect(Set(first.joined().map(\.ids)).count == 8)
    #expect(try draw(fixture, settings()) == first)
    #expect(try draw(fixture, settings { $0.seed = 10 }) != first)
  }

  // What the order of the units, the number of samples and the neighbours may not change.
  @Test(.enabled(if: BatchDecoderTests.hasOwnProducts, "OpenBLAS may give other bits for other numbers of rows"))
  func companyDoesNotMatter() throws {
    let fixture = try ModelFixture("qwen2")
    let together = try draw(fixture, settings(samples: 5))
    for samples in 1...4 {
      #expect(try draw(fixture, settings(samples: samples)) == together.map { Array($0[..<samples]) })
    }
    #expect(try draw(fixture, prompts: [3, 1], settings(samples: 5)) == [together[3], together[1]])
  }
}

/// When samples end.
@Suite struct SampleEndTests {
  init() { BLAS.threads = 1 }

  private func draw(
    _ fixture: ModelFixture, maxNewTokens: Int = 12, stops: Set<Int32> = [], isStopped: Sampler.StopCheck? = nil
  ) throws -> [Sample] {
    let prompts = fixture.pairs.map(\.prompt)
    var settings = SamplingSettings(seed: 3, maxNewTokens: maxNewTokens)
    settings.stopTokens = stops
    let newTokens = DecodingCapacity.newTokens(
      fixture.configuration, promptLengths: prompts.map(\.count), atMost: maxNewTokens)
    let capacity = DecodingCapacity(
      fixture.configuration, promptLengths: prompts.map(\.count), samples: 4, newTokens: newTokens)
    let requests = prompts.enumerated().map { SampleRequest(prompt: $1, identity: $0, samples: 0..<1) }
    return try Sampler(fixture.configuration, capacity: capacity).draw(
      requests, parameters: fixture.parameters.view, settings, isStopped: isStopped
    ).map { $0[0] }
  }

  @Test func aStopTokenIsTheLastOfItsSample() throws {
    let fixture = try ModelFixture("llama-gqa")
    let free = try draw(fixture)
    #expect(free.allSatisfy { $0.ids.count == 12 && !$0.isFinished })
    let stop = free[0].ids[4]
    let stopped = try draw(fixture, stops: [stop, free[2].ids[0]])
    for (sample, whole) in zip(stopped, free) {
      let end = whole.ids.firstIndex { [stop, free[2].ids[0]].contains($0) }
      #expect(sample.ids == Array(whole.ids[...(end ?? 11)]) && sample.isFinished == (end != nil))
    }
    #expect(stopped[0].ids.count <= 5 && stopped[2].ids.count == 1)
  }

  @Test func aCheckEndsASampleWithTheTokenThatMadeItTrue() throws {
    let fixture = try ModelFixture("llama-gqa")
    let free = try draw(fixture)
    let stopped = try draw(fixture) { sample, ids in ids.count == sample + 2 }
    for (index, sample) in stopped.enumerated() {
      #expect(sample.ids == Array(free[index].ids[..<(index + 2)]) && sample.isFinished)
    }
  }

  @Test func theContextEndsASample() throws {
    let fixture = try ModelFixture("qwen3")
    let samples = try draw(fixture, maxNewTokens: 1_000)
    for (sample, pair) in zip(samples, fixture.pairs) {
      #expect(sample.ids.count == fixture.configuration.contextLength - pair.prompt.count && !sample.isFinished)
    }
  }

  @Test func oneTokenIsOneToken() throws {
    #expect(try draw(ModelFixture("llama-f16"), maxNewTokens: 1).allSatisfy { $0.ids.count == 1 })
  }

  @Test func weightsThatAreNotFiniteAreAFault() throws {
    let fixture = try ModelFixture("llama-gqa")
    for i in 0..<fixture.parameters.count { fixture.parameters.view.base[i] = .nan }
    #expect(throws: Fault.self) { try draw(fixture) }
  }
}
