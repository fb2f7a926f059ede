import AlignmentCore
import Foundation
import JSON
import Kernels
import Testing
import Transformer

/// How often tokens are drawn from a tiny model, against the exact distribution (Pearson's χ² test).
@Suite struct SampleFrequencyTests {
  static let samples = 6_000
  // χ² of 5 and of 35 degrees of freedom exceed these with probability 10⁻⁴ (Wilson and Hilferty 1931).
  static let limits = (single: 26.3, joint: 75.1)

  private let configuration: ModelConfiguration
  private let parameters: FloatBuffer
  private let prompt: [Int32] = [1, 4, 2]

  init() throws {
    BLAS.threads = 1
    let json = """
      {"model_type": "llama", "vocab_size": 6, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2,
       "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 16}
      """
    configuration = try ModelConfiguration(json: JSONValue.parse(Array(json.utf8)), path: "config.json")
    let layout = ParameterLayout(configuration)
    parameters = try FloatBuffer(count: layout.count, purpose: "test")
    let stream = RandomStream(seed: 5, purpose: .initialization)
    for i in 0..<layout.count { parameters.view.base[i] = Float(stream.normal(at: i)) * 0.35 }
  }

  static let settings: [SamplingSettings] = [(1.0, 1.0, 0), (0.6, 1.0, 0), (1.0, 0.8, 0), (1.5, 0.9, 5)].map {
    var settings = SamplingSettings(seed: 77, maxNewTokens: 2)
    (settings.temperature, settings.topP, settings.topK) = $0
    settings.samples = samples
    return settings
  }

  /// Probabilities behind a sequence after the transforms.
  private func distribution(_ sequence: [Int32], _ settings: SamplingSettings) throws -> [Double] {
    let unit = WorkUnit([(sequence, (0..<6).map { [$0] })])
    let model = try LanguageModel(configuration, capacity: UnitCapacity([unit]), trained: nil)
    model.score(unit, parameters: parameters.view)
    let logits = model.tokenLogProbabilities[..<6].map { Float($0) }
    return TokenSelectorTests.Expectation(logits, seen: [], settings).logProbabilities.map { $0.map { exp($0) } ?? 0 }
  }

  /// χ² of counts; what cannot be drawn must not have been.
  private func statistic(_ counts: [Int], _ probabilities: [Double]) -> Double {
    zip(counts, probabilities).reduce(0) { sum, cell in
      let expected = cell.1 * Double(Self.samples)
      guard expected > 0 else { return sum + (cell.0 == 0 ? 0 : .infinity) }
      return sum + (Double(cell.0) - expected) * (Double(cell.0) - expected) / expected
    }
  }

  @Test(arguments: settings)
  func frequenciesFitTheDistribution(settings: SamplingSettings) throws {
    let capacity = DecodingCapacity(configuration, promptLengths: [3], samples: Self.samples, newTokens: 2)
    let drawn = try Sampler(configuration, capacity: capacity).draw(
      [SampleRequest(prompt: prompt, identity: 0, samples: 0..<Self.samples)], parameters: parameters.view, settings)[0]
    let first = try distribution(prompt, settings)
    let second = try (0..<6).map { try distribution(prompt + [$0], settings) }
    var (counts, pairs) = ([Int](repeating: 0, count: 6), [Int](repeating: 0, count: 36))
    for sample in drawn {
      counts[Int(sample.ids[0])] += 1
      pairs[Int(sample.ids[0]) * 6 + Int(sample.ids[1])] += 1
    }
    #expect(statistic(counts, first) < Self.limits.single)
    let joint = (0..<6).flatMap { token in second[token].map { first[token] * $0 } }
    #expect(statistic(pairs, joint) < Self.limits.joint)
    // A sampler that always draws the same would not fit; one that fits too well would be as wrong.
    #expect(statistic(counts, first) > 1e-3 && first.allSatisfy { $0 < 0.9 })
  }
}
