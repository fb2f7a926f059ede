import AlignmentCore
import Foundation
import JSON
import Testing
import Transformer

@Suite struct DerivativeTests {
  // A loss of about 50 tokens, each log-probability to 10⁻⁶, over a step of 10⁻²: 5·10⁻⁴ of noise, beside gradients whose
  // largest elements are between 0.1 and 10. The step's own error is of fourth order.
  static let tolerance = 2e-3
  static let step = 1e-2

  /// The fixture's preference loss at the present parameters, log-probabilities weighted so that no gradient cancels.
  private func loss(_ model: LanguageModel, _ unit: WorkUnit, _ parameters: FloatView) -> Double {
    model.score(unit, parameters: parameters)
    return unit.completions.enumerated().reduce(0.0) { sum, completion in
      sum + Self.derivative(completion.offset) * model.output(of: completion.element)
    }
  }

  private static func derivative(_ completion: Int) -> Double { [0.25, -0.15, 0.2, -0.1, 0.15][completion % 5] }

  @Test(arguments: ["llama-biased", "qwen3", "mistral"])
  func theGradientIsTheDerivative(name: String) throws {
    let fixture = try ModelFixture(name)
    let unit = fixture.pairUnit
    let result = try Differentiation([unit], fixture.configuration, fixture.parameters) { model, unit, group in
      model.write(group.completions.map(Self.derivative), unit, group)
    }
    let model = try LanguageModel(fixture.configuration, capacity: UnitCapacity([unit]), trained: nil)
    let parameters = fixture.parameters.view
    for tensor in fixture.layout.tensors {
      let order = tensor.range.sorted { abs(result.gradient[$0]) > abs(result.gradient[$1]) }
      let scale = abs(result.gradient[order[0]])
      // The two largest elements and one in the middle.
      for index in [order[0], order[1], order[order.count / 2]] {
        let value = parameters.base[index]
        let losses = [1, -1, 2, -2].map { (steps: Float) -> Double in
          parameters.base[index] = value + steps * Float(Self.step)
          return loss(model, unit, parameters)
        }
        parameters.base[index] = value
        // Richardson's extrapolation of two central differences.
        let slope = (8 * (losses[0] - losses[1]) - (losses[2] - losses[3])) / (12 * Self.step)
        let error = abs(slope - result.gradient[index])
        #expect(error <= Self.tolerance * max(scale, 0.2), "\(tensor.name)[\(index - tensor.range.lowerBound)]")
      }
    }
  }
}

/// A vocabulary of several panels of the head, with borders that are no multiple of anything.
@Suite struct VocabularyPanelTests {
  static let vocabulary = 4_999
  // exp of a log-probability near −9 with an error of 10⁻⁶.
  static let tolerance = 2e-5

  private func configuration() throws -> ModelConfiguration {
    let json = """
      {"model_type": "llama", "vocab_size": \(Self.vocabulary), "hidden_size": 12, "intermediate_size": 20,
       "num_hidden_layers": 1, "num_attention_heads": 2, "rms_norm_eps": 1e-5, "tie_word_embeddings": false}
      """
    return try ModelConfiguration(json: try JSONValue.parse(Array(json.utf8)), path: "config.json")
  }

  private func parameters(_ count: Int) throws -> FloatBuffer {
    var generator = TestGenerator(2)
    let buffer = try FloatBuffer(count: count, purpose: "test")
    for i in 0..<count { buffer.view.base[i] = Float(generator.uniform(-0.8, 0.8)) }
    return buffer
  }

  /// The log-probability of every token behind a prompt.
  private func distribution(_ configuration: ModelConfiguration, _ parameters: FloatBuffer) throws -> [Double] {
    let unit = WorkUnit([([7, 4_000, 11], (0..<Int32(Self.vocabulary)).map { [$0] })])
    let model = try LanguageModel(configuration, capacity: UnitCapacity([unit]), trained: nil)
    model.score(unit, parameters: parameters.view)
    return Array(model.tokenLogProbabilities)
  }

  @Test func probabilitiesAddUpToOne() throws {
    let configuration = try configuration()
    let parameters = try parameters(ParameterLayout(configuration).count)
    let logProbabilities = try distribution(configuration, parameters)
    #expect(abs(logProbabilities.reduce(0) { $0 + exp($1) } - 1) <= Self.tolerance)
  }

  // The gradient of the head is (1[target] − p)·h for each entry v of the vocabulary; h shows in the target's row.
  @Test(arguments: [0, 2_047, 2_048, 4_095, 4_096, 4_998])
  func theHeadsGradientIsOneHotMinusSoftmax(target: Int) throws {
    let configuration = try configuration()
    let layout = ParameterLayout(configuration)
    let parameters = try parameters(layout.count)
    let probabilities = try distribution(configuration, parameters).map { exp($0) }
    let unit = WorkUnit([([7, 4_000, 11], [[Int32(target)]])])
    let result = try Differentiation([unit], configuration, parameters) { $0.write([1], $1, $2) }
    #expect(abs(exp(result.logProbabilities[0][0]) - probabilities[target]) <= Self.tolerance * probabilities[target])
    let head = try #require(layout.tensors.last)
    try #require(head.name == "lm_head.weight")
    let width = configuration.hiddenSize
    let rows = (0..<Self.vocabulary).map { head.range.lowerBound + $0 * width }
    let hidden = (0..<width).map { result.gradient[rows[target] + $0] / (1 - probabilities[target]) }
    let scale = hidden.map { abs($0) }.max() ?? 0
    for entry in 0..<Self.vocabulary where entry != target {
      for i in 0..<width {
        let error = abs(result.gradient[rows[entry] + i] + probabilities[entry] * hidden[i])
        try #require(error <= Self.tolerance * scale * probabilities[entry], "entry \(entry)")
      }
    }
  }
}
