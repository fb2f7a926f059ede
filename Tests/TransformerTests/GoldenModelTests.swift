import AlignmentCore
import Foundation
import JSON
import Testing
import Transformer

/// Nine models of all supported types against what transformers computes in Float64.
@Suite struct GoldenModelTests {
  // Two or three layers in Float32: some ten roundings per layer of logits near 10. The fixtures' own Float32 run in
  // transformers is within 10⁻⁵.
  static let logTolerance = 2e-5
  // Of a gradient's largest element or norm: a backward pass has about three times the roundings of a forward pass.
  static let gradientTolerance = 1e-4

  @Test(arguments: ModelFixture.names)
  func tokenLogProbabilities(name: String) throws {
    let fixture = try ModelFixture(name)
    let expected = try #require(fixture.expected["token_logps"]?.arrayValue).flatMap { pair in
      (pair["chosen"]?.doubles ?? []) + (pair["rejected"]?.doubles ?? [])
    }
    let unit = fixture.pairUnit
    let model = try LanguageModel(fixture.configuration, capacity: UnitCapacity([unit]), trained: nil)
    model.score(unit, parameters: fixture.parameters.view)
    try #require(expected.count == unit.targets.count)
    for (row, reference) in expected.enumerated() {
      let error = abs(model.tokenLogProbabilities[row] - reference)
      #expect(error <= Self.logTolerance * max(1, abs(reference)), "row \(row)")
    }
  }

  /// −log σ(β·margin) of a pair and its derivative by the margin, by the formulas of DPO.
  private struct Preference {
    let loss: Double
    let derivative: Double

    init(margin: Double, beta: Double, softLabel q: Double = 1) {
      let x = beta * margin
      loss = q * log1p(exp(-x)) + (1 - q) * log1p(exp(x))
      derivative = beta * (1 / (1 + exp(-x)) - q)
    }
  }

  /// DPO of the fixture's pairs with weights and soft labels, divided by `normalizer`.
  private func preferences(
    _ fixture: ModelFixture, units: [WorkUnit], weights: [Double]? = nil, softLabels: [Double]? = nil,
    normalizer: Double
  ) throws -> (losses: [Double], differentiation: Differentiation) {
    let golden = try #require(fixture.expected["dpo"])
    let beta = try golden.number("beta")
    let reference = try #require(golden["reference_logps"]?.arrayValue).map {
      try $0.number("chosen") - $0.number("rejected")
    }
    var losses: [Double] = []
    let result = try Differentiation(units, fixture.configuration, fixture.parameters) { model, unit, group in
      let index = losses.count
      let sums = model.sums(unit, group)
      let margin = sums[0] - sums[1] - reference[index]
      let preference = Preference(margin: margin, beta: beta, softLabel: softLabels?[index] ?? 1)
      let weight = weights?[index] ?? 1
      losses.append(weight * preference.loss)
      let derivative = weight * preference.derivative / normalizer
      model.write([derivative, -derivative], unit, group)
    }
    return (losses, result)
  }

  @Test(arguments: ModelFixture.names)
  func preferenceGradient(name: String) throws {
    let fixture = try ModelFixture(name)
    let golden = try #require(fixture.expected["dpo"])
    let (losses, result) = try preferences(fixture, units: [fixture.pairUnit], normalizer: 4)
    for (loss, expected) in zip(losses, try #require(golden["per_pair"]).doubles) {
      #expect(abs(loss - expected) <= Self.logTolerance * max(1, expected))
    }
    #expect(abs(losses.reduce(0, +) / 4 - (try golden.number("loss"))) <= Self.logTolerance)
    try check(result, fixture.layout, golden)
  }

  @Test(arguments: ModelFixture.names)
  func likelihoodGradient(name: String) throws {
    let fixture = try ModelFixture(name)
    let golden = try #require(fixture.expected["sft"])
    let unit = WorkUnit(fixture.pairs.map { ($0.prompt, [$0.chosen]) })
    let result = try Differentiation([unit], fixture.configuration, fixture.parameters) { model, unit, group in
      model.write([-1 / Double(unit.targets.count)], unit, group)
    }
    let loss = -result.logProbabilities[0].reduce(0, +) / Double(unit.targets.count)
    #expect(abs(loss - (try golden.number("loss"))) <= Self.logTolerance)
    try check(result, fixture.layout, golden)
  }

  @Test(arguments: ModelFixture.names)
  func weightedPreferenceGradient(name: String) throws {
    let fixture = try ModelFixture(name)
    let golden = try #require(fixture.expected["weighted_dpo"])
    let weights = try #require(golden["weights"]).doubles
    for (key, normalizer) in [("by_count", 4), ("by_weight", weights.reduce(0, +))] as [(ByteString, Double)] {
      let (losses, result) = try preferences(
        fixture, units: fixture.pairUnits, weights: weights, softLabels: try #require(golden["soft_labels"]).doubles,
        normalizer: normalizer)
      let expected = try #require(golden[key])
      #expect(abs(losses.reduce(0, +) / normalizer - (try expected.number("loss"))) <= Self.logTolerance)
      #expect(abs(result.norm() / (try expected.number("grad_norm")) - 1) <= Self.gradientTolerance)
    }
  }

  /// Compares a gradient with the norms and elements that `golden` has.
  private func check(_ result: Differentiation, _ layout: ParameterLayout, _ golden: JSONValue) throws {
    #expect(abs(result.norm() / (try golden.number("grad_norm")) - 1) <= Self.gradientTolerance)
    let tensors = try #require(golden["tensors"])
    #expect(tensors.objectValue?.members.count == layout.tensors.count)
    for tensor in layout.tensors {
      let expected = try #require(tensors[ByteString(tensor.name)])
      let entries = try #require(expected["entries"]?.arrayValue).map(\.doubles)
      // The largest element comes first.
      let scale = abs(entries[0][1])
      for entry in entries {
        let actual = result.gradient[tensor.range.lowerBound + Int(entry[0])]
        #expect(abs(actual - entry[1]) <= Self.gradientTolerance * scale, "\(tensor.name)[\(Int(entry[0]))]")
      }
      let norm = try expected.number("l2")
      #expect(abs(result.norm(tensor.range) - norm) <= Self.gradientTolerance * norm, "\(tensor.name)")
      guard let sum = expected["sum"]?.doubleValue else { continue }
      // Errors of n elements, each at most `gradientTolerance` of the root mean square, add up to √n of one.
      let error = abs(result.gradient[tensor.range].reduce(0, +) - sum)
      #expect(error <= Self.gradientTolerance * norm, "\(tensor.name)")
    }
  }
}
