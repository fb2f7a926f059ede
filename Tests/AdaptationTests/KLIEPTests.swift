import Adaptation
import AlignmentCore
import Foundation
import JSON
import Testing

@Suite struct KLIEPTests {
  // A duality gap of 10⁻¹⁰ nats leaves the mixture weights, and with them the ratios, open to about its root.
  static let goldenTolerance = 1e-6

  private func fixture() throws -> (file: JSONValue, evidence: DensityEvidence) {
    let file = try densityFixture("kliep.json")
    let (source, target) = (try #require(file["source"]).rows, try #require(file["target"]).rows)
    return (file, featureEvidence(source, target, seed: UInt64(try #require(file["seed"]?.doubleValue))))
  }

  @Test func followsTheConvexProgram() throws {
    let (file, evidence) = try fixture()
    for example in try #require(file["cases"]?.arrayValue) {
      let sigma = try #require(example["sigma"]?.stringValue)
      let found = try estimate(evidence, "kliep", ["sigma": sigma, "tolerance": "1e-10"])
      let expected = try #require(example["log_ratios"]).doubles
      #expect(found.logRatios.count == expected.count)
      for (a, b) in zip(found.logRatios, expected) {
        #expect(abs(a - b) <= Self.goldenTolerance * max(1, abs(b)), "sigma \(sigma)")
      }
      let divergence = try #require(found.finding("kl_divergence"))
      #expect(abs(divergence - (try #require(example["kl_divergence"]?.doubleValue))) < 1e-9)
      #expect(try #require(found.finding("duality_gap")) <= 1e-10)
    }
  }

  @Test func choosesAsRefittingEachFoldWould() throws {
    let (file, evidence) = try fixture()
    let choice = try #require(file["choice"])
    let found = try estimate(
      evidence, "kliep", ["folds": try #require(choice["folds"]?.stringValue), "tolerance": "1e-10"])
    for name in ["sigma", "held_out_kl_divergence"] {
      let (a, b) = (try #require(found.finding(name)), try #require(choice[ByteString(name)]?.doubleValue))
      #expect(abs(a - b) < 1e-8 * max(1, abs(b)), "\(name)")
    }
  }

  @Test func ratiosHaveMeanOne() throws {
    let pair = GaussianPair(source: 3000, target: 2000, mean: 1)
    let found = try estimate(pair.evidence, "kliep")
    let mean = found.logRatios.reduce(0) { $0 + exp($1) } / 3000
    #expect(abs(mean - 1) < 1e-9)
  }

  @Test func findsTheRatioOfTwoGaussians() throws {
    let pair = GaussianPair(source: 20_000, target: 20_000, mean: 0.5, deviation: 0.8)
    let found = try estimate(pair.evidence, "kliep")
    #expect(pair.error(of: found) < 0.1)
    #expect(found.finding("likelihood_rows") == 16_384)
    // KL(N(½, 0.8²) ‖ N(0, 1)) = ½·(0.8² + ½² − 1) − log 0.8
    #expect(abs(try #require(found.finding("kl_divergence")) - 0.1681) < 0.02)
  }

  @Test func duplicateCentersAreNoTrouble() throws {
    var numbers = TestNumbers(41)
    let (a, b) = (numbers.normalRows(100, 2), numbers.normalRows(20, 2, mean: 0.5))
    let once = try estimate(featureEvidence(a, b + b), "kliep", ["sigma": "0.7", "tolerance": "1e-10"])
    #expect(try #require(once.finding("duality_gap")) <= 1e-10)
    #expect(once.logRatios.allSatisfy { $0.isFinite })
  }
}
