import Adaptation
import AlignmentCore
import Foundation
import JSON
import Testing

@Suite struct EntropyBalanceTests {
  // Both are converged to rounding.
  static let goldenTolerance = 1e-10

  @Test func followsScipy() throws {
    let file = try densityFixture("entropy_balance.json")
    let (source, target) = (try #require(file["source"]).rows, try #require(file["target"]).rows)
    for example in try #require(file["cases"]?.arrayValue) {
      let ridge = try #require(example["ridge"]?.stringValue)
      let found = try estimate(featureEvidence(source, target), "entropy_balance", ["ridge": ridge])
      let expected = try #require(example["log_ratios"]).doubles
      #expect(found.logRatios.count == expected.count && found.finding("ridge") == Double(ridge))
      for (a, b) in zip(found.logRatios, expected) {
        #expect(abs(a - found.logRatios[0] - b) <= Self.goldenTolerance * max(1, abs(b)), "ridge \(ridge)")
      }
    }
  }

  @Test func meansAgreeExactly() throws {
    var numbers = TestNumbers(21)
    let (a, b) = (numbers.normalRows(2000, 6), numbers.normalRows(500, 6, mean: 0.4, deviation: 2))
    let evidence = featureEvidence(a, b)
    let found = try estimate(evidence, "entropy_balance")
    let weights = found.logRatios.map { exp($0) }
    let total = weights.reduce(0, +)
    for column in 0..<6 {
      let source =
        (0..<2000).reduce(0.0) { $0 + weights[$1] * Double(evidence.source.features[$1 * 6 + column]) } / total
      let target = (0..<500).reduce(0.0) { $0 + Double(evidence.target.features[$1 * 6 + column]) } / 500
      #expect(abs(source - target) < 1e-9)
    }
    #expect(found.finding("is_balanced") == 1 && found.finding("ridge") == 0)
    #expect(try #require(found.finding("largest_imbalance")) < 1e-9)
  }

  @Test func findsTheRatioOfTwoGaussians() throws {
    let pair = GaussianPair(source: 20_000, target: 10_000, mean: 0.7)
    #expect(pair.error(of: try estimate(pair.evidence, "entropy_balance")) < 0.05)
  }

  @Test func meansOutsideTheHullAreReported() throws {
    var numbers = TestNumbers(22)
    let (a, b) = (numbers.normalRows(300, 2), numbers.normalRows(300, 2, mean: 12))
    let found = try estimate(featureEvidence(a, b), "entropy_balance")
    #expect(found.finding("is_balanced") == 0 && found.finding("ridge") == 0.1)
    #expect(try #require(found.finding("largest_imbalance")) > 0.5)
    #expect(found.logRatios.allSatisfy { $0.isFinite })
    // A ridge of one's own is kept where it is enough.
    let own = try estimate(featureEvidence(a, b), "entropy_balance", ["ridge": "2"])
    #expect(own.finding("ridge") == 2 && own.finding("is_balanced") == 0)
  }

  @Test func dependentFeaturesAreNoTrouble() throws {
    var numbers = TestNumbers(23)
    let (a, b) = (numbers.normalRows(300, 2), numbers.normalRows(200, 2, mean: 0.5))
    let twice = { (rows: [[Double]]) in rows.map { $0 + $0 } }
    let (plain, doubled) = (
      try estimate(featureEvidence(a, b), "entropy_balance"),
      try estimate(featureEvidence(twice(a), twice(b)), "entropy_balance")
    )
    for (x, y) in zip(plain.logRatios, doubled.logRatios) { #expect(abs(x - y) < 1e-6) }
    #expect(doubled.finding("is_balanced") == 1)
  }
}
