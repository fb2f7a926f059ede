import AlignmentCore
import Foundation
import Testing
import Transformer

/// Entropies of the distributions that tokens are predicted from.
@Suite struct EntropyTests {
  // Probabilities of a vocabulary from log-probabilities that differ in rounding of 10⁻⁶ by how they are computed.
  static let tolerance = 1e-5

  private func model(_ fixture: ModelFixture, _ unit: WorkUnit, _ order: RenyiOrder?, logits: Int = 1 << 27) throws
    -> LanguageModel
  {
    try LanguageModel(
      fixture.configuration, capacity: UnitCapacity([unit]), trained: TrainedParameters(all: fixture.layout),
      entropyOrder: order, budget: MemoryBudget(logits: logits))
  }

  /// The distribution behind a prompt, token by token.
  private func distribution(_ fixture: ModelFixture, behind prompt: [Int32]) throws -> [Double] {
    let tokens = (0..<Int32(fixture.configuration.vocabularySize)).map { [$0] }
    let unit = WorkUnit([(prompt: prompt, completions: tokens)])
    let model = try model(fixture, unit, nil)
    model.score(unit, parameters: fixture.parameters.view)
    #expect(model.tokenEntropies.isEmpty && model.entropy(of: unit.completions[0]) == 0)
    return unit.targets.indices.map { exp(model.tokenLogProbabilities[$0]) }
  }

  @Test(arguments: ["llama-gqa", "qwen3"], [RenyiOrder.two, .infinity])
  func areThoseOfTheWholeVocabulary(name: String, order: RenyiOrder) throws {
    let fixture = try ModelFixture(name)
    let (prompt, completion) = (fixture.pairs[0].prompt, fixture.pairs[0].chosen)
    let unit = WorkUnit([(prompt: prompt, completions: [completion])])
    let model = try model(fixture, unit, order)
    model.score(unit, parameters: fixture.parameters.view)
    var sum = 0.0
    for token in completion.indices {
      let p = try distribution(fixture, behind: prompt + completion[..<token])
      let expected = order == .two ? -log(p.reduce(0) { $0 + $1 * $1 }) : -log(p.max() ?? 0)
      #expect(abs(model.tokenEntropies[token] - expected) <= Self.tolerance, "token \(token)")
      sum += expected
    }
    #expect(abs(model.entropy(of: unit.completions[0]) - sum) <= Self.tolerance * Double(completion.count))
  }

  // With few rows of logits at a time they are computed twice, and in pieces.
  @Test(arguments: [RenyiOrder.two, .infinity], [1, 1 << 27])
  func costTheRestNothing(order: RenyiOrder, logits: Int) throws {
    let fixture = try ModelFixture("llama-gqa")
    let unit = WorkUnit(fixture.pairs.map { (prompt: $0.prompt, completions: [$0.chosen, $0.rejected]) })
    let (with, without) = (
      try model(fixture, unit, order, logits: logits), try model(fixture, unit, nil, logits: logits)
    )
    let run = { (model: LanguageModel) throws -> ([Double], [Float]) in
      let gradients = try FloatBuffer(count: fixture.layout.count, purpose: "test")
      let weights = fixture.parameters.view
      model.differentiate(unit, parameters: weights, values: weights, gradients: gradients.view) { group in
        for row in group.completions.flatMap({ unit.completions[$0].rows }) {
          model.tokenDerivatives.base[row] = Float(0.1 * Double(row % 7) - 0.3)
        }
      }
      let values = Array(UnsafeBufferPointer(start: gradients.view.base, count: gradients.count))
      return (unit.targets.indices.map { model.tokenLogProbabilities[$0] }, values)
    }
    let (first, second) = (try run(with), try run(without))
    #expect(first.0 == second.0 && first.1 == second.1)
    let whole = try model(fixture, unit, order)
    whole.score(unit, parameters: fixture.parameters.view)
    for row in unit.targets.indices {
      #expect(abs(with.tokenEntropies[row] - whole.tokenEntropies[row]) <= Self.tolerance)
    }
  }
}
