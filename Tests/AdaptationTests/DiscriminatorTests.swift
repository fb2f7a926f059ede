import Adaptation
import AlignmentCore
import Foundation
import JSON
import Testing

@Suite struct DiscriminatorTests {
  // Both minimisers are converged; scikit-learn's stops at gradients of 10⁻¹².
  static let goldenTolerance = 1e-9

  @Test func followsScikitLearn() throws {
    let file = try densityFixture("discriminator.json")
    let groups = try #require(file["groups"]?.arrayValue)
    let source = try groups.map { try #require($0["source"]).rows }
    let target = try groups.map { try #require($0["target"]).rows }
    for example in try #require(file["cases"]?.arrayValue) {
      let settings = try #require(example["options"]).settings.merging(["folds": "2"]) { $1 }
      let found = try estimate(evidence(source, target), "discriminator", settings)
      #expect(found.finding("folds_without_classifier") == 0 && found.finding("constant_features") == 1)
      let expected = try #require(example["log_ratios"]).rows.flatMap { $0 }
      #expect(found.logRatios.count == expected.count)
      for (a, b) in zip(found.logRatios, expected) {
        #expect(abs(a - b) <= Self.goldenTolerance * max(1, abs(b)), "\(settings)")
      }
      let quality = try #require(found.classifier)
      #expect(abs(quality.auc - (try #require(example["auc"]?.doubleValue))) < 1e-12, "\(settings)")
      #expect(abs(quality.brier - (try #require(example["brier"]?.doubleValue))) < 1e-9, "\(settings)")
    }
  }

  /// Two groups of responses, each to one prompt, with prompts that fall into different folds of two.
  private func evidence(_ source: [[[Double]]], _ target: [[[Double]]]) throws -> DensityEvidence {
    for second in 1..<100 {
      let prompts = { (groups: [[[Double]]]) in
        groups[0].map { _ in 0 } + groups[1].map { _ in second }
      }
      let result = featureEvidence(
        source.flatMap { $0 }, target.flatMap { $0 }, prompts: (prompts(source), prompts(target)))
      if try estimate(result, "discriminator", ["folds": "2"]).finding("folds_without_classifier") == 0 {
        return result
      }
    }
    throw Fault(.data, "a hundred prompts are in one fold")
  }

  @Test func findsTheRatioOfTwoGaussians() throws {
    let pair = GaussianPair(source: 20_000, target: 10_000, mean: 0.7)
    let found = try estimate(pair.evidence, "discriminator", ["max_ratio": "1e6"])
    // The exact log-ratio is linear; its two coefficients have standard errors of about 0.015.
    #expect(pair.error(of: found) < 0.05)
    for (a, b) in zip(found.logRatios, pair.logRatios) { #expect(abs(a - b) < 0.2) }
    // Φ(0.7 / √2)
    #expect(abs(try #require(found.classifier).auc - 0.6897) < 0.01)
    #expect(try #require(found.classifier).ece < 0.015)
  }

  @Test func findsAnotherVarianceWithQuadraticTerms() throws {
    let pair = GaussianPair(source: 20_000, target: 10_000, mean: 0.3, deviation: 0.6)
    let linear = try estimate(pair.evidence, "discriminator", ["max_ratio": "1e6"])
    let quadratic = try estimate(pair.evidence, "discriminator", ["max_ratio": "1e6", "quadratic": "yes"])
    #expect(pair.error(of: quadratic) < 0.05)
    #expect(pair.error(of: linear) > 0.3)
  }

  @Test(arguments: ["platt", "isotonic", "none"])
  func equalDomainsHaveNearlyEqualWeights(calibration: String) throws {
    var numbers = TestNumbers(3)
    let data = featureEvidence(numbers.normalRows(6000, 5), numbers.normalRows(4000, 5))
    let found = try estimate(data, "discriminator", ["calibration": calibration])
    let quality = try #require(found.classifier)
    #expect(abs(quality.auc - 0.5) < 0.03 && quality.ece < 0.05)
    // The ends of an isotonic fit are a few responses that are all of one domain.
    let bound = calibration == "isotonic" ? log(20) + 1e-12 : 0.25
    #expect(found.logRatios.allSatisfy { abs($0) <= bound })
  }

  @Test(arguments: ["platt", "isotonic", "none"])
  func disjointDomainsAreToldApartWithFiniteRatios(calibration: String) throws {
    var numbers = TestNumbers(4)
    let data = featureEvidence(numbers.normalRows(500, 3), numbers.normalRows(300, 3, mean: 40))
    let settings = ["calibration": calibration, "ridge": "1e-6"]
    let found = try estimate(data, "discriminator", settings)
    #expect(try #require(found.classifier).auc == 1)
    #expect(found.logRatios.allSatisfy { abs($0 + log(20)) < 1e-12 })
  }

  @Test func promptsNeverLeakIntoTheirOwnForecasts() throws {
    // All responses to a prompt have its random features and its domain: who has seen the prompt knows the domain.
    var numbers = TestNumbers(8)
    var (rows, prompts) = ((source: [[Double]](), target: [[Double]]()), (source: [Int](), target: [Int]()))
    for prompt in 0..<100 {
      let identity = numbers.normalRows(1, 90)[0]
      for _ in 0..<10 {
        let row = identity + [numbers.normal()]
        if prompt % 2 == 0 {
          rows.source.append(row)
          prompts.source.append(prompt)
        } else {
          rows.target.append(row)
          prompts.target.append(prompt)
        }
      }
    }
    let held = try estimate(featureEvidence(rows.source, rows.target, prompts: prompts), "discriminator")
    // Fifty prompts against fifty: a standard error of 0.06.
    #expect(abs(try #require(held.classifier).auc - 0.5) < 0.2)
    let leaking = try estimate(featureEvidence(rows.source, rows.target), "discriminator")
    #expect(try #require(leaking.classifier).auc > 0.99)
  }

  @Test func oneResponseOfEachDomainHasWeightOne() throws {
    let found = try estimate(featureEvidence([[1, 2]], [[3, 4]]), "discriminator")
    #expect(found.logRatios == [0])
    #expect(found.classifier?.auc == 0.5)
  }

  @Test func oneFoldWithoutOthersKnowsNothing() throws {
    var numbers = TestNumbers(6)
    let (a, b) = (numbers.normalRows(30, 2), numbers.normalRows(20, 2, mean: 3))
    let prompts = (source: a.map { _ in 7 }, target: b.map { _ in 7 })
    let found = try estimate(featureEvidence(a, b, prompts: prompts), "discriminator")
    #expect(found.logRatios.allSatisfy { $0 == 0 } && found.finding("folds_without_classifier") == 1)
  }

  @Test func hardlyAnyTargetResponsesAreEnough() throws {
    let pair = GaussianPair(source: 50_000, target: 60, mean: 1)
    let found = try estimate(pair.evidence, "discriminator")
    // The slope's standard error is about 1/√60.
    #expect(pair.error(of: found) < 0.6)
    #expect(found.logRatios.allSatisfy { $0.isFinite })
  }

}
