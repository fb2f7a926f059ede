import AlignmentCore
import Testing
import Transformer

/// Heads that give scores and values.
@Suite struct ScalarHeadTests {
  // The same sums of Float32 in another order.
  static let rounding = 1e-5

  private func scores(_ fixture: HeadFixture, _ units: [WorkUnit]) throws -> [Double] {
    let model = try LanguageModel(
      fixture.configuration, head: fixture.head, capacity: UnitCapacity(units), trained: nil)
    return units.flatMap { unit -> [Double] in
      model.score(unit, parameters: fixture.parameters.view)
      return unit.completions.map { model.output(of: $0) }
    }
  }

  @Test(arguments: ModelFixture.names)
  func companyDoesNotChangeAScore(name: String) throws {
    let model = try ModelFixture(name)
    let fixture = try HeadFixture(model, .score)
    let groups = model.pairs.map { (prompt: $0.prompt, completions: [$0.chosen, $0.rejected]) }
    let together = try scores(fixture, [WorkUnit(scored: groups)])
    let apart = try scores(
      fixture, groups.flatMap { group in group.completions.map { WorkUnit(scored: [(group.prompt, [$0])]) } })
    let moved = try scores(
      fixture, groups.map { WorkUnit(scored: [([($0.prompt[0] + 1) % 60] + $0.prompt.dropFirst(), $0.completions)]) })
    #expect(together.count == 2 * groups.count && Set(together).count == together.count)
    for (a, b) in zip(together, apart) { #expect(abs(a - b) <= Self.rounding * max(1, abs(a))) }
    // A score that did not read its prompt would not notice that a token of it is another.
    #expect(zip(together, moved).contains { abs($0 - $1) > 1e-2 })
  }

  // The value before a token that would follow is that of the state behind the last one.
  @Test(arguments: ModelFixture.names)
  func aScoreIsReadBehindTheLastToken(name: String) throws {
    let model = try ModelFixture(name)
    let (scoring, valuing) = (try HeadFixture(model, .score), try HeadFixture(model, .languageModelWithValue))
    let value = try #require(valuing.layout.tensors.first { $0.name == "v_head.weight" })
    let bias = try #require(valuing.layout.tensors.first { $0.name == "v_head.bias" })
    let score = try #require(scoring.layout.tensors.first { $0.name == "score.weight" })
    for i in 0..<value.range.count {
      valuing.parameters.view[value.range].base[i] = scoring.parameters.view[score.range].base[i]
    }
    valuing.parameters.view[bias.range].base[0] = 0.75
    let groups = model.pairs.map { (prompt: $0.prompt, completions: [$0.chosen, $0.rejected]) }
    let found = try scores(scoring, [WorkUnit(scored: groups)])
    let unit = WorkUnit(groups.map { ($0.prompt, $0.completions.map { $0 + [5] }) })
    let critic = try LanguageModel(
      model.configuration, head: .languageModelWithValue, capacity: UnitCapacity([unit]), trained: nil)
    critic.score(unit, parameters: valuing.parameters.view)
    for (completion, score) in zip(unit.completions, found) {
      let last = critic.scalars[completion.rows.upperBound - 1]
      #expect(abs(last - 0.75 - score) <= Self.rounding * max(1, abs(score)))
    }
    // And the log-probabilities are those of the model without a critic.
    let plain = try LanguageModel(model.configuration, capacity: UnitCapacity([unit]), trained: nil)
    plain.score(unit, parameters: model.parameters.view)
    #expect(unit.targets.indices.allSatisfy { plain.tokenLogProbabilities[$0] == critic.tokenLogProbabilities[$0] })
  }

  @Test(arguments: ["llama-biased", "qwen3", "mistral"], [ModelHead.score, .languageModelWithValue])
  func theGradientIsTheDerivative(name: String, head: ModelHead) throws {
    let model = try ModelFixture(name)
    let fixture = try HeadFixture(model, head)
    let unit = fixture.unit(model)
    let parameters = fixture.parameters.view
    let gradient = try fixture.gradient(
      unit, TrainedParameters(all: fixture.layout), weights: parameters, values: parameters)
    let scorer = try LanguageModel(fixture.configuration, head: head, capacity: UnitCapacity([unit]), trained: nil)
    // Every third tensor of the decoder, and all that is not of a layer.
    let tensors = fixture.layout.tensors.enumerated().filter { $0 % 3 == 0 || !$1.name.contains("layers") }.map(
      \.element)
    CentralDifferences.check(gradient, tensors, parameters) { fixture.loss(scorer, unit, parameters) }
  }

  @Test(arguments: ModelFixture.names)
  func detachedValuesLeaveTheDecoderAlone(name: String) throws {
    let model = try ModelFixture(name)
    let fixture = try HeadFixture(model, .languageModelWithValue)
    let unit = fixture.unit(model)
    let all = TrainedParameters(all: fixture.layout)
    let gradient = { (detaches: Bool, factor: Double) in
      try fixture.gradient(
        unit, all, weights: fixture.parameters.view, values: fixture.parameters.view, detachesValues: detaches,
        scalarFactor: factor)
    }
    let (attached, detached, without) = (try gradient(false, 1), try gradient(true, 1), try gradient(true, 0))
    for tensor in fixture.layout.tensors {
      let isHead = tensor.belongsToScalarHead
      // The vocabulary's own matrix stands beside the value head.
      let isOutside = isHead || tensor.name == "lm_head.weight"
      #expect(isOutside == (attached[tensor.range] == detached[tensor.range]), "\(tensor.name)")
      #expect(isHead != (without[tensor.range] == detached[tensor.range]), "\(tensor.name)")
    }
  }
}
