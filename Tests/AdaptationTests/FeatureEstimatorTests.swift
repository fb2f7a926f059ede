import Adaptation
import AlignmentCore
import Foundation
import Testing

/// What holds for every estimator that looks at features.
@Suite struct FeatureEstimatorTests {
  static let names = DensityRegistry.all.map { $0.name }.filter { name in
    (try? DensityRegistry.make(name).needs.contains(.features)) ?? false
  }

  /// For those whose convergence is an option.
  static let converged = ["tolerance": "1e-10"]

  @Test func thereAreFive() {
    #expect(Self.names == ["discriminator", "entropy_balance", "kliep", "kmm", "rulsif"])
  }

  @Test(arguments: names)
  func equalDomainsHaveNearlyEqualWeights(name: String) throws {
    var numbers = TestNumbers(3)
    let found = try estimate(featureEvidence(numbers.normalRows(4000, 3), numbers.normalRows(3000, 3)), name)
    let weights = found.logRatios.map { exp($0) }
    let (sum, squares) = (weights.reduce(0, +), weights.reduce(0) { $0 + $1 * $1 })
    #expect(sum * sum / squares > 0.9 * Double(weights.count))
  }

  @Test(arguments: names)
  func disjointDomainsHaveFiniteRatios(name: String) throws {
    var numbers = TestNumbers(4)
    let found = try estimate(featureEvidence(numbers.normalRows(400, 2), numbers.normalRows(300, 2, mean: 1000)), name)
    #expect(found.logRatios.count == 400 && found.logRatios.allSatisfy { $0.isFinite })
  }

  @Test(arguments: names, [1, 2, 3])
  func aFewResponsesAreEnough(name: String, count: Int) throws {
    var numbers = TestNumbers(5)
    let found = try estimate(featureEvidence(numbers.normalRows(count, 2), numbers.normalRows(1, 2)), name)
    #expect(found.logRatios.count == count && found.logRatios.allSatisfy { $0.isFinite })
  }

  @Test(arguments: names)
  func moreFeaturesThanResponsesAreNoTrouble(name: String) throws {
    var numbers = TestNumbers(6)
    let found = try estimate(featureEvidence(numbers.normalRows(12, 40), numbers.normalRows(9, 40, mean: 0.3)), name)
    #expect(found.logRatios.allSatisfy { $0.isFinite })
  }

  @Test(arguments: names)
  func featuresThatAreAllConstantGiveEqualWeights(name: String) throws {
    let found = try estimate(
      featureEvidence([[5, 1], [5, 1], [5, 1], [5, 1]], [[5, 1], [5, 1]]), name, ["calibration": "none"])
    #expect(found.finding("constant_features") == 2)
    #expect(found.logRatios.allSatisfy { abs($0 - found.logRatios[0]) < 1e-9 })
  }

  @Test(arguments: names)
  func constantFeaturesAreLeftOut(name: String) throws {
    var numbers = TestNumbers(9)
    let (a, b) = (numbers.normalRows(80, 2), numbers.normalRows(60, 2, mean: 0.5))
    let plain = try estimate(featureEvidence(a, b), name)
    let padded = try estimate(
      featureEvidence(a.map { [0.1] + $0 + [-3e7] }, b.map { [0.1] + $0 + [-3e7] }), name)
    #expect(padded.logRatios == plain.logRatios && padded.finding("constant_features") == 2)
  }

  @Test(arguments: names)
  func theSameEvidenceGivesTheSameBits(name: String) throws {
    var numbers = TestNumbers(12)
    let evidence = featureEvidence(numbers.normalRows(700, 3), numbers.normalRows(600, 3, mean: 0.4), seed: 9)
    let (first, again) = (try estimate(evidence, name), try estimate(evidence, name))
    #expect(first.logRatios == again.logRatios && first.classifier == again.classifier)
    #expect(first.findings.elementsEqual(again.findings, by: ==))
  }

  @Test(arguments: names)
  func ratiosBelongToResponsesNotToPlaces(name: String) throws {
    // No more target responses than centers, so that no choice depends on places.
    var numbers = TestNumbers(12)
    let (a, b) = (numbers.normalRows(200, 3), numbers.normalRows(90, 3, mean: 0.4))
    let straight = try estimate(featureEvidence(a, b), name, Self.converged)
    let prompts = (source: Array((0..<200).reversed()), target: Array((200..<290).reversed()))
    let reversed = try estimate(
      featureEvidence(a.reversed(), b.reversed(), prompts: prompts), name, Self.converged)
    for (x, y) in zip(straight.logRatios, reversed.logRatios.reversed()) { #expect(abs(x - y) < 1e-6) }
  }

  @Test(arguments: names)
  func theUnitOfAFeatureDoesNotMatter(name: String) throws {
    var numbers = TestNumbers(14)
    // Halves of small integers stay exact in Float32.
    let round = { (rows: [[Double]]) in rows.map { $0.map { ($0 * 64).rounded() / 64 } } }
    let (a, b) = (round(numbers.normalRows(150, 2)), round(numbers.normalRows(80, 2, mean: 0.4)))
    let other = { (rows: [[Double]]) in rows.map { [$0[0] * 1024 - 8, $0[1]] } }
    let (plain, scaled) = (
      try estimate(featureEvidence(a, b), name, Self.converged),
      try estimate(featureEvidence(other(a), other(b)), name, Self.converged)
    )
    for (x, y) in zip(plain.logRatios, scaled.logRatios) { #expect(abs(x - y) < 1e-6) }
  }

  @Test(arguments: names)
  func duplicatesHaveTheRatioOfTheirOriginal(name: String) throws {
    var numbers = TestNumbers(13)
    let (a, b) = (numbers.normalRows(100, 2), numbers.normalRows(90, 2, mean: 1))
    let prompts = (source: Array(0..<100) + Array(0..<100), target: Array(100..<190))
    let found = try estimate(featureEvidence(a + a, b, prompts: prompts), name)
    for i in 0..<100 { #expect(abs(found.logRatios[i] - found.logRatios[i + 100]) < 1e-12) }
  }

  @Test(arguments: names)
  func moreOfTheTargetMeansMoreWeight(name: String) throws {
    let pair = GaussianPair(source: 5000, target: 100, mean: 1)
    let found = try estimate(pair.evidence, name)
    let mean = { (values: [Double], keep: (Double) -> Bool) -> Double in
      let kept = zip(values, pair.logRatios).filter { keep($0.1) }.map { exp($0.0) }
      return kept.reduce(0, +) / Double(kept.count)
    }
    #expect(mean(found.logRatios) { $0 > 0.5 } > 2 * mean(found.logRatios) { $0 < -0.5 })
  }

  @Test(arguments: names)
  func whatIsMissingIsNamed(name: String) throws {
    #expect(throws: Fault.self) { try estimate(featureEvidence([[1], [.nan]], [[2]]), name) }
    #expect(throws: Fault.self) { try estimate(featureEvidence([[1]], []), name) }
    #expect(throws: Fault.self) { try estimate(featureEvidence([], [[1]]), name) }
    var short = featureEvidence([[1, 2]], [[3, 4]])
    short.target.features.removeLast()
    #expect(throws: Fault.self) { try estimate(short, name) }
    do {
      _ = try estimate(featureEvidence([[1, 2], [3, .infinity]], [[2, 1]]), name)
    } catch let fault as Fault {
      #expect(fault.description.contains("feature 1 of source response 1"))
    }
  }
}
