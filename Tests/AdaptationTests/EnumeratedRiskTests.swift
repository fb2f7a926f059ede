import Adaptation
import AlignmentCore
import Testing

#if canImport(Glibc)
  import Glibc
#endif

/// Data in which every response is as often as its probability says: the weighted risk of the source is the risk of the
/// target, not on average but exactly.
@Suite struct EnumeratedRiskTests {
  static let source = ToyModel.sixths(1)
  static let target = ToyModel.softmax(seed: 3)
  static let untouched = settings { $0.flattening = .none }
  /// Sums of 216 to 46,656 terms near 1.
  static let tolerance = 1e-12

  private func expectation(_ loss: (Int) -> Double, under model: ToyModel) -> Double {
    model.probabilities.enumerated().reduce(0) { $0 + $1.element * loss($1.offset) }
  }

  private func loss(_ response: Int) -> Double { 1 + RandomStream(seed: 5, purpose: .evaluation).normal(at: response) }

  private func loss(_ first: Int, _ second: Int) -> Double {
    1 + RandomStream(seed: 5, purpose: .evaluation, first).normal(at: second)
  }

  @Test func theModelsAreDistributionsThatDiffer() {
    for model in [Self.source, Self.target, .sixths(2)] { #expect(abs(model.probabilities.reduce(0, +) - 1) < 1e-12) }
    #expect(Self.source.data.count == 216)
    #expect(abs(expectation(loss, under: Self.source) - expectation(loss, under: Self.target)) > 0.01)
  }

  @Test func theRiskOfSingleResponsesIsTheTargets() throws {
    let data = Self.source.data
    let evidence = evidence(data, target: Self.target, sources: [Self.source])
    let estimate = try estimator("importance").estimate(evidence)
    let fit = try WeightPipeline(Self.untouched).fit(estimate, evidence, examples: data.indices.map { [$0] })
    let risk = mean(zip(fit.weights, data).map { $0 * loss($1) })
    #expect(abs(risk - expectation(loss, under: Self.target)) < Self.tolerance)
    #expect(abs(try #require(fit.report.meanRatio) - 1) < Self.tolerance)
  }

  @Test func theRiskOfPairsIsTheTargetsUnderTheProduct() throws {
    let data = Self.source.data
    let evidence = evidence(data, target: Self.target, sources: [Self.source])
    let pairs = data.indices.flatMap { first in data.indices.map { [first, $0] } }
    let estimate = try estimator("importance").estimate(evidence)
    let fit = try WeightPipeline(Self.untouched).fit(estimate, evidence, examples: pairs)
    let risk = mean(zip(fit.weights, pairs).map { $0 * loss(data[$1[0]], data[$1[1]]) })
    let expected = expectation({ a in expectation({ loss(a, $0) }, under: Self.target) }, under: Self.target)
    #expect(abs(risk - expected) < Self.tolerance)
  }

  // One response of the target beside one of the source, in either order.
  @Test func theRiskOfMixedPairsIsTheTargetsUnderTheMean() throws {
    let data = Self.source.data
    let evidence = evidence(data, target: Self.target, sources: [Self.source])
    let pairs = data.indices.flatMap { first in data.indices.map { [first, $0] } }
    let estimate = try estimator("importance").estimate(evidence)
    let mixed = settings { ($0.flattening, $0.composition) = (.none, .mean) }
    let fit = try WeightPipeline(mixed).fit(estimate, evidence, examples: pairs)
    let risk = mean(zip(fit.weights, pairs).map { $0 * loss(data[$1[0]], data[$1[1]]) })
    let before = expectation({ a in expectation({ loss(a, $0) }, under: Self.source) }, under: Self.target)
    let after = expectation({ a in expectation({ loss(a, $0) }, under: Self.target) }, under: Self.source)
    #expect(abs(risk - (before + after) / 2) < Self.tolerance)
  }

  @Test func ofSeveralGeneratorsTheMixtureIsTheSource() throws {
    let other = ToyModel.sixths(2)
    // Shares 1/4 and 3/4.
    let data = Self.source.data + other.data + other.data + other.data
    let evidence = evidence(data, target: Self.target, sources: [Self.source, other], shares: [0.25, 0.75])
    let estimate = try estimator("importance").estimate(evidence)
    let fit = try WeightPipeline(Self.untouched).fit(estimate, evidence, examples: data.indices.map { [$0] })
    let risk = mean(zip(fit.weights, data).map { $0 * loss($1) })
    #expect(abs(risk - expectation(loss, under: Self.target)) < Self.tolerance)
    #expect(abs(try #require(fit.report.meanRatio) - 1) < Self.tolerance)
  }

  @Test(arguments: [WeightSettings.Composition.product, .mean, .first])
  func weightsBalanceEveryFeature(_ composition: WeightSettings.Composition) throws {
    let data = Self.source.data
    let target = ToyModel.sixths(2)
    var evidence = evidence(data, target: target, sources: [Self.source])
    evidence.featureNames = ["zeros", "first", "ascents"]
    evidence.source.features = data.flatMap(Self.features)
    evidence.target.prompts = target.data.map { _ in 0 }
    evidence.target.features = target.data.flatMap(Self.features)
    let pairs = data.indices.flatMap { first in data.indices.map { [first, $0] } }
    let estimate = try estimator("importance").estimate(evidence)
    let settings = settings { ($0.flattening, $0.composition) = (.none, composition) }
    let balance = try WeightPipeline(settings).fit(estimate, evidence, examples: pairs).report.balance
    #expect(balance.map(\.feature) == ["zeros", "first", "ascents"])
    #expect(balance.contains { abs($0.before) > 0.1 })
    #expect(balance.allSatisfy { abs($0.after) < Self.tolerance })
  }

  private static func features(_ response: Int) -> [Float] {
    let tokens = ToyModel.responses[response]
    return [
      Float(tokens.count { $0 == 0 }), Float(tokens[0]), Float(zip(tokens, tokens.dropFirst()).count { $0 < $1 }),
    ]
  }

  @Test func identicalDomainsHaveUniformWeights() throws {
    let data = Self.source.data
    let evidence = evidence(data, target: Self.source, sources: [.sixths(1)])
    for form in ["sequence", "length", "sqrt_length"] {
      let estimate = try estimator("importance", ["form": form]).estimate(evidence)
      for flattening in WeightSettings.Flattening.allCases {
        let pipeline = WeightPipeline(settings { $0.flattening = flattening })
        let fit = try pipeline.fit(estimate, evidence, examples: data.indices.map { [$0, ($0 + 1) % data.count] })
        #expect(distance(fit.weights, data.map { _ in 1 }) < 1e-12)
        #expect(fit.report.verdict == .passed)
      }
    }
  }

  // exp(r/β) of the source's own responses, made to a mean of 1 by samples of the same policy.
  @Test func rsoWeighsTowardsTheRewardOptimalPolicy() throws {
    let data = Self.source.data
    var evidence = evidence(data, target: Self.target, sources: [Self.source])
    evidence.source.rewards = data.map(loss)
    let optimal = Self.target.probabilities.enumerated().map { $1 * exp(loss($0) / 2) }
    let partition = optimal.reduce(0, +)
    let rso = try estimator("rso", ["beta": "2", "partition": "responses", "policy_ratio": "yes"])
    let fit = try WeightPipeline(Self.untouched).fit(
      rso.estimate(evidence), evidence, examples: data.indices.map { [$0] })
    let expected = data.map { optimal[$0] / partition / Self.source.probabilities[$0] }
    #expect(distance(fit.weights, expected) < Self.tolerance)
  }
}
