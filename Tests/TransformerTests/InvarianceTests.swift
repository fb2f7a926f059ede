import AlignmentCore
import Testing
import Transformer

/// What must not change a result: how groups are packed, how much memory there is, where a prompt ends.
@Suite struct InvarianceTests {
  // The same sums in another order: Float32 rounding of log-probabilities near 10 and of gradients.
  static let logTolerance = 1e-5
  static let gradientTolerance = 1e-5

  /// A smooth loss that gives every row its own derivative.
  private static func writeRows(_ model: LanguageModel, _ unit: WorkUnit, _ group: GroupSpan) {
    for completion in group.completions.map({ unit.completions[$0] }) {
      for row in completion.rows {
        let target = Float(unit.targets[row] % 7) / 7
        model.tokenDerivatives.base[row] = target - 0.6
      }
    }
  }

  private func differentiate(
    _ fixture: ModelFixture, _ units: [WorkUnit], budget: MemoryBudget = MemoryBudget()
  ) throws -> Differentiation {
    try Differentiation(
      units, fixture.configuration, fixture.parameters, budget: budget, objective: Self.writeRows)
  }

  private func expectEqual(
    _ a: Differentiation, _ b: Differentiation, _ layout: ParameterLayout, _ comment: Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(a.distance(to: b, layout) <= Self.gradientTolerance, comment, sourceLocation: sourceLocation)
  }

  @Test(arguments: ModelFixture.names)
  func packingDoesNotMatter(name: String) throws {
    let fixture = try ModelFixture(name)
    let together = try differentiate(fixture, [fixture.pairUnit])
    let apart = try differentiate(fixture, fixture.pairUnits)
    let backwards = try differentiate(
      fixture, [WorkUnit(fixture.pairs.reversed().map { ($0.prompt, [$0.chosen, $0.rejected]) })])
    // A prompt that is not shared: each completion behind a copy of its own.
    let unshared = try differentiate(
      fixture, [WorkUnit(fixture.pairs.flatMap { [($0.prompt, [$0.chosen]), ($0.prompt, [$0.rejected])] })])
    for other in [apart, backwards, unshared] { expectEqual(other, together, fixture.layout) }
    for other in [apart, unshared] {
      for (a, b) in zip(together.logProbabilities.joined(), other.logProbabilities.joined()) {
        #expect(abs(a - b) <= Self.logTolerance)
      }
    }
  }

  // Activations that are computed twice are the same bits, whichever layers keep theirs.
  @Test(arguments: ModelFixture.names)
  func recomputationGivesTheSameBits(name: String) throws {
    let fixture = try ModelFixture(name)
    let kept = try differentiate(fixture, [fixture.pairUnit])
    for exponent in [0] + Array(12...20) {
      let recomputed = try differentiate(
        fixture, [fixture.pairUnit], budget: MemoryBudget(activations: 1 << exponent))
      #expect(recomputed.gradient == kept.gradient, "2^\(exponent) bytes")
      #expect(recomputed.logProbabilities == kept.logProbabilities)
    }
  }

  // The head keeps sixteen rows at least: three of the four groups have more and are computed twice, in pieces.
  @Test(arguments: ModelFixture.names)
  func theHeadMayWorkInChunks(name: String) throws {
    let fixture = try ModelFixture(name)
    let whole = try differentiate(fixture, [fixture.pairUnit])
    for rows in [16, 20, 30, 50] {
      let budget = MemoryBudget(logits: rows * fixture.configuration.vocabularySize * MemoryLayout<Float>.stride)
      let chunked = try differentiate(fixture, [fixture.pairUnit], budget: budget)
      expectEqual(chunked, whole, fixture.layout, "\(rows) rows")
      for (a, b) in zip(chunked.logProbabilities[0], whole.logProbabilities[0]) {
        #expect(abs(a - b) <= Self.logTolerance)
      }
    }
  }

  // Longer than a block of query rows, in the prompt, in the completion and across their border; the tokens behind
  // `split` are predicted and differentiated either way.
  @Test(arguments: ModelFixture.names, [[1, 128], [128, 129], [1, 200], [130, 300]])
  func whereAPromptEndsDoesNotMatter(name: String, ends: [Int]) throws {
    let fixture = try ModelFixture(name)
    var generator = TestGenerator(ends[1])
    let tokens = generator.tokens(330, below: fixture.configuration.vocabularySize)
    let common = tokens.count - ends[1]
    let results = try ends.map { end in
      try Differentiation(
        [WorkUnit([(Array(tokens[..<end]), [Array(tokens[end...])])])], fixture.configuration, fixture.parameters
      ) { model, unit, _ in
        for (offset, row) in unit.targets.indices.reversed().enumerated() {
          model.tokenDerivatives.base[row] = offset < common ? Float(offset % 5) - 1.5 : 0
        }
      }
    }
    expectEqual(results[0], results[1], fixture.layout)
    for (a, b) in zip(results[0].logProbabilities[0].suffix(common), results[1].logProbabilities[0]) {
      #expect(abs(a - b) <= Self.logTolerance * max(1, abs(b)))
    }
  }

  // Completions must not see each other: alone, in company, and in another order they are the same.
  @Test(arguments: ModelFixture.names)
  func completionsOfAGroupAreIndependent(name: String) throws {
    let fixture = try ModelFixture(name)
    var generator = TestGenerator(1)
    let vocabulary = fixture.configuration.vocabularySize
    let prompt = generator.tokens(140, below: vocabulary)
    let completions = [150, 1, 7, 131].map { generator.tokens($0, below: vocabulary) }
    let together = try differentiate(fixture, [WorkUnit([(prompt, completions)])])
    let apart = try differentiate(fixture, completions.map { WorkUnit([(prompt, [$0])]) })
    expectEqual(apart, together, fixture.layout)
    for (a, b) in zip(apart.logProbabilities.joined(), together.logProbabilities[0]) {
      #expect(abs(a - b) <= Self.logTolerance * max(1, abs(b)))
    }
  }

  @Test(arguments: ModelFixture.names)
  func scoringAndTrainingGiveTheSameBits(name: String) throws {
    let fixture = try ModelFixture(name)
    let unit = fixture.pairUnit
    let trained = try differentiate(fixture, [unit])
    let model = try LanguageModel(fixture.configuration, capacity: UnitCapacity([unit]), trained: nil)
    model.score(unit, parameters: fixture.parameters.view)
    #expect(Array(model.tokenLogProbabilities) == trained.logProbabilities[0])
    let sum = unit.completions[2].rows.reduce(0.0) { $0 + model.tokenLogProbabilities[$1] }
    #expect(model.output(of: unit.completions[2]) == sum)
  }

  // A model allocates for its largest unit; a smaller one must not see what the larger left behind.
  @Test(arguments: ModelFixture.names)
  func unitsDoNotSeeEachOther(name: String) throws {
    let fixture = try ModelFixture(name)
    let units = fixture.pairUnits
    let alone = try units.map { try differentiate(fixture, [$0]).logProbabilities[0] }
    let inTurn = try differentiate(fixture, units + units.reversed())
    for (a, b) in zip(inTurn.logProbabilities, alone + alone.reversed()) {
      for (x, y) in zip(a, b) { #expect(abs(x - y) <= Self.logTolerance) }
    }
  }
}
