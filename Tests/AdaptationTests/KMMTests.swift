import Adaptation
import AlignmentCore
import Foundation
import JSON
import Testing

@Suite struct KMMTests {
  // Both solve a linear system for the free weights, whose condition number is below 10⁵.
  static let goldenTolerance = 1e-9

  @Test func followsTheQuadraticProgram() throws {
    let file = try densityFixture("kmm.json")
    let seed = try #require(file["seed"]?.stringValue.flatMap { UInt64($0) })
    let evidence = featureEvidence(
      try #require(file["source"]).rows, try #require(file["target"]).rows, seed: seed)
    for example in try #require(file["cases"]?.arrayValue) {
      let settings = try #require(example["options"]).settings
      let found = try estimate(evidence, "kmm", settings)
      let expected = try #require(example["log_ratios"]).doubles
      #expect(found.logRatios.count == expected.count)
      for (a, b) in zip(found.logRatios, expected) {
        #expect(abs(a - b) <= Self.goldenTolerance * max(1, abs(b)), "\(settings)")
      }
      for name in ["discrepancy", "discrepancy_before"] {
        let (a, b) = (try #require(found.finding(name)), try #require(example[ByteString(name)]?.doubleValue))
        #expect(abs(a - b) < 1e-10, "\(settings)")
      }
    }
  }

  @Test func findsTheRatioOfTwoGaussians() throws {
    let pair = GaussianPair(source: 5000, target: 5000, mean: 0.5, deviation: 0.8)
    let found = try estimate(pair.evidence, "kmm", ["ridge": "0.001"])
    // The ratio's standard deviation is 0.53.
    #expect(pair.error(of: found) < 0.1)
    let (before, after) = (
      try #require(found.finding("discrepancy_before")), try #require(found.finding("discrepancy"))
    )
    #expect(after < 0.02 * before)
  }

  @Test func weightsStayWithinTheirBounds() throws {
    let pair = GaussianPair(source: 2000, target: 2000, mean: 2.5, deviation: 0.5)
    let found = try estimate(pair.evidence, "kmm", ["max_ratio": "4", "ridge": "1e-4"])
    #expect(abs(try #require(found.logRatios.max()) - log(4)) < 1e-12)
    #expect(abs(try #require(found.logRatios.min()) + log(4)) < 1e-12)
  }

  @Test func aLargeRidgeKeepsEqualWeights() throws {
    let pair = GaussianPair(source: 300, target: 300, mean: 1)
    let found = try estimate(pair.evidence, "kmm", ["ridge": "1e6"])
    #expect(found.logRatios.allSatisfy { abs($0) < 1e-5 })
  }
}
