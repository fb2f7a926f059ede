import AlignmentCore
import Foundation
import Testing
import Transformer

/// Decoding with cached keys and values against the model that scores whole sequences.
@Suite struct SamplerTests {
  // Two ways to compute logits near 10 in Float32, as a difference of probabilities.
  static let tolerance = 1e-4
  static let length = 40
  static let newTokens = 12

  private func settings(
    temperature: Double, maxNewTokens: Int = newTokens, stopTokens: Set<Int32> = [], seed: UInt64 = 9
  ) -> Sampler.Settings {
    Sampler.Settings(seed: seed, temperature: temperature, maxNewTokens: maxNewTokens, stopTokens: stopTokens)
  }

  private func complete(
    _ fixture: ModelFixture, _ prompts: [[Int32]], identities: [Int]? = nil, _ settings: Sampler.Settings
  ) throws -> [[Int32]] {
    try Sampler(fixture.configuration, sequences: prompts.count, length: Self.length).complete(
      prompts, identities: identities ?? Array(prompts.indices), parameters: fixture.parameters.view, settings)
  }

  /// The probability of every token behind a sequence, each scored as a completion of one token.
  private func distribution(_ fixture: ModelFixture, _ sequence: [Int32], temperature: Double) throws -> [Double] {
    let tokens = (0..<Int32(fixture.configuration.vocabularySize)).map { [$0] }
    let unit = WorkUnit([(sequence, tokens)])
    let model = try LanguageModel(fixture.configuration, capacity: UnitCapacity([unit]), trained: nil)
    model.score(unit, parameters: fixture.parameters.view)
    let weights = model.tokenLogProbabilities.map { exp($0 / temperature) }
    let total = weights.reduce(0, +)
    return weights.map { $0 / total }
  }

  @Test(arguments: ModelFixture.names)
  func temperatureZeroTakesTheLikeliestToken(name: String) throws {
    let fixture = try ModelFixture(name)
    let prompts = fixture.pairs.map(\.prompt)
    for (prompt, completion) in zip(prompts, try complete(fixture, prompts, settings(temperature: 0))) {
      #expect(completion.count == Self.newTokens)
      for end in completion.indices {
        let probabilities = try distribution(fixture, prompt + completion[..<end], temperature: 1)
        #expect(probabilities[Int(completion[end])] >= (probabilities.max() ?? 0) - Self.tolerance)
      }
    }
  }

  // The token at position t is where the distribution function passes the stream's uniform number of (seed, identity, t).
  @Test(arguments: ModelFixture.names, [0.5, 1.0, 2])
  func samplesInvertTheDistributionFunction(name: String, temperature: Double) throws {
    let fixture = try ModelFixture(name)
    let prompts = fixture.pairs.map(\.prompt)
    let identities = [3, 0, 77, 12]
    let completions = try complete(fixture, prompts, identities: identities, settings(temperature: temperature))
    for (index, completion) in completions.enumerated() {
      let stream = RandomStream(seed: 9, purpose: .sampling, identities[index])
      for end in completion.indices {
        let probabilities = try distribution(fixture, prompts[index] + completion[..<end], temperature: temperature)
        let token = Int(completion[end])
        let below = probabilities[..<token].reduce(0, +)
        let uniform = stream.uniform(at: prompts[index].count + end - 1)
        #expect(uniform >= below - Self.tolerance && uniform <= below + probabilities[token] + Self.tolerance)
      }
    }
  }

  @Test func companyDoesNotMatter() throws {
    let fixture = try ModelFixture("llama-gqa")
    let prompts = fixture.pairs.map(\.prompt)
    let together = try complete(fixture, prompts, settings(temperature: 1))
    for (index, prompt) in prompts.enumerated() {
      #expect(try complete(fixture, [prompt], identities: [index], settings(temperature: 1)) == [together[index]])
    }
    let backwards = try complete(
      fixture, prompts.reversed(), identities: prompts.indices.reversed(), settings(temperature: 1))
    #expect(backwards == together.reversed())
  }

  @Test func seedAndIdentityMakeTheDifference() throws {
    let fixture = try ModelFixture("llama-gqa")
    let prompts = Array(repeating: fixture.pairs[1].prompt, count: 3)
    let first = try complete(fixture, prompts, settings(temperature: 1))
    #expect(Set(first).count == 3)
    #expect(try complete(fixture, prompts, settings(temperature: 1)) == first)
    #expect(try complete(fixture, prompts, settings(temperature: 1, seed: 10)) != first)
  }

  @Test func stopTokensEndASequenceAndAreLeftOff() throws {
    let fixture = try ModelFixture("llama-gqa")
    let prompts = fixture.pairs.map(\.prompt)
    let free = try complete(fixture, prompts, settings(temperature: 1))
    let stop = free[0][4]
    let stopped = try complete(fixture, prompts, settings(temperature: 1, stopTokens: [stop]))
    #expect(stopped == free.map { Array($0.prefix { $0 != stop }) })
    #expect(stopped[0].count <= 4)
  }

  // One sampler for several batches: nothing of the first may show in the second.
  @Test(arguments: [1, 5])
  func aSamplerCanBeUsedAgain(maxNewTokens: Int) throws {
    let fixture = try ModelFixture("qwen3")
    let sampler = try Sampler(fixture.configuration, sequences: 4, length: Self.length)
    let settings = settings(temperature: 1, maxNewTokens: maxNewTokens)
    let prompts = fixture.pairs.map(\.prompt)
    let draw = { (indices: [Int]) in
      sampler.complete(
        indices.map { prompts[$0] }, identities: indices, parameters: fixture.parameters.view, settings)
    }
    let first = draw([0, 1, 2, 3])
    #expect(first.allSatisfy { $0.count == maxNewTokens })
    #expect(draw([2, 1]) == [first[2], first[1]] && draw([0, 1, 2, 3]) == first)
  }

  @Test func noNewTokensAreNone() throws {
    let fixture = try ModelFixture("llama-gqa")
    let completions = try complete(fixture, fixture.pairs.map(\.prompt), settings(temperature: 1, maxNewTokens: 0))
    #expect(completions == [[], [], [], []])
  }
}
