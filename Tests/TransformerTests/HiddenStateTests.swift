import AlignmentCore
import Foundation
import Testing
import Transformer

/// What can be read of a unit beside its log-probabilities.
@Suite struct HiddenStateTests {
  // Float32 products of up to 64 terms against Float64.
  static let tolerance = 2e-5

  /// The distribution over the vocabulary after a hidden state, in Float64.
  private func logProbabilities(_ fixture: ModelFixture, _ hidden: UnsafeBufferPointer<Float>) throws -> [Double] {
    let tensors = fixture.layout.tensors
    let head = try #require(tensors.first { $0.name == "lm_head.weight" } ?? tensors.first)
    let weight = fixture.parameters.view[head.range].base
    let width = hidden.count
    let logits = (0..<fixture.configuration.vocabularySize).map { (token: Int) -> Double in
      (0..<width).reduce(0.0) { sum, i in sum + Double(hidden[i]) * Double(weight[token * width + i]) }
    }
    let largest = logits.max() ?? 0
    let logSum = largest + log(logits.reduce(0) { $0 + exp($1 - largest) })
    return logits.map { $0 - logSum }
  }

  @Test(arguments: ["llama-gqa", "qwen3"], [MemoryBudget(), MemoryBudget(logits: 1)])
  func logProbabilitiesAndEntropiesFollowFromHiddenStates(name: String, budget: MemoryBudget) throws {
    let fixture = try ModelFixture(name)
    let unit = fixture.pairUnit
    let model = try LanguageModel(
      fixture.configuration, capacity: UnitCapacity([unit]), trained: nil, entropyOrder: .one, budget: budget)
    model.score(unit, parameters: fixture.parameters.view)
    for (row, source) in unit.predictionSources.enumerated() {
      let expected = try logProbabilities(fixture, model.hiddenState(ofToken: Int(source)))
      #expect(abs(model.tokenLogProbabilities[row] - expected[Int(unit.targets[row])]) < Self.tolerance)
      #expect(abs(model.tokenEntropies[row] + expected.reduce(0) { $0 + exp($1) * $1 }) < Self.tolerance)
    }
  }

  @Test func entropiesAreMeasuredOnlyIfAskedFor() throws {
    let fixture = try ModelFixture("llama-gqa")
    let capacity = UnitCapacity([fixture.pairUnit])
    let (plain, measuring) = (
      try LanguageModel(fixture.configuration, capacity: capacity, trained: nil),
      try LanguageModel(fixture.configuration, capacity: capacity, trained: nil, entropyOrder: .one)
    )
    for model in [plain, measuring] { model.score(fixture.pairUnit, parameters: fixture.parameters.view) }
    #expect(plain.tokenEntropies.isEmpty)
    let rows = fixture.pairUnit.targets.count
    #expect(plain.tokenLogProbabilities[..<rows].elementsEqual(measuring.tokenLogProbabilities[..<rows]))
  }
}
