import Adaptation
import AlignmentCore
import Foundation
import JSON
import Testing

@Suite struct RuLSIFTests {
  // Both solve the same linear system, whose condition number is below 10⁶.
  static let goldenTolerance = 1e-9

  private func fixture() throws -> (file: JSONValue, evidence: DensityEvidence) {
    let file = try densityFixture("rulsif.json")
    let (source, target) = (try #require(file["source"]).rows, try #require(file["target"]).rows)
    return (file, featureEvidence(source, target, seed: UInt64(try #require(file["seed"]?.doubleValue))))
  }

  @Test func followsDensratio() throws {
    let (file, evidence) = try fixture()
    for example in try #require(file["cases"]?.arrayValue) {
      let settings = try #require(example["options"]).settings
      let found = try estimate(evidence, "rulsif", settings)
      let expected = try #require(example["log_ratios"]).doubles
      #expect(found.logRatios.count == expected.count)
      for (a, b) in zip(found.logRatios, expected) {
        #expect(abs(a - b) <= Self.goldenTolerance * max(1, abs(b)), "\(settings)")
      }
      let divergence = try #require(found.finding("pearson_divergence"))
      #expect(abs(divergence - (try #require(example["pearson_divergence"]?.doubleValue))) < 1e-9)
    }
  }

  @Test func choosesAsRefittingEachFoldWould() throws {
    let (file, evidence) = try fixture()
    let choice = try #require(file["choice"])
    let found = try estimate(evidence, "rulsif", try #require(choice["options"]).settings)
    for name in ["median_distance", "sigma", "lambda", "held_out_pearson_divergence"] {
      let (a, b) = (try #require(found.finding(name)), try #require(choice[ByteString(name)]?.doubleValue))
      #expect(abs(a - b) < 1e-9 * max(1, abs(b)), "\(name)")
    }
  }

  @Test(arguments: [0, 0.1, 0.5])
  func findsTheRelativeRatioOfTwoGaussians(alpha: Double) throws {
    let pair = GaussianPair(source: 20_000, target: 20_000, mean: 0.5, deviation: 0.8)
    let found = try estimate(pair.evidence, "rulsif", ["alpha": "\(alpha)"])
    let relative = pair.logRatios.map { -log(alpha + (1 - alpha) * exp(-$0)) }
    let errors = zip(found.logRatios, relative).map { (exp($0) - exp($1)) * (exp($0) - exp($1)) }
    // The ratio's own mean square is above 1.
    #expect((errors.reduce(0, +) / Double(errors.count)).squareRoot() < 0.1)
    // E_t r/2 − 1/2 at the exact ratio.
    let divergence = zip(pair.logRatios, relative).reduce(0) { $0 + exp($1.0 + $1.1) } / Double(relative.count)
    #expect(abs(try #require(found.finding("pearson_divergence")) - (0.5 * divergence - 0.5)) < 0.03)
  }

  @Test func centersAreTargetResponsesOfTheSeed() throws {
    var numbers = TestNumbers(31)
    let (a, b) = (numbers.normalRows(300, 2), numbers.normalRows(400, 2, mean: 0.5))
    let settings = ["centers": "20", "sigma": "0.5", "lambda": "0.01"]
    let first = try estimate(featureEvidence(a, b, seed: 1), "rulsif", settings)
    let again = try estimate(featureEvidence(a, b, seed: 1), "rulsif", settings)
    let second = try estimate(featureEvidence(a, b, seed: 2), "rulsif", settings)
    #expect(first.logRatios == again.logRatios && first.logRatios != second.logRatios)
  }

  @Test func anUnusableRidgeIsNamed() throws {
    let rows = [[1.0], [1], [1], [2], [2]]
    #expect(throws: Fault.self) {
      try estimate(featureEvidence(rows, rows), "rulsif", ["lambda": "1e-30", "sigma": "1"])
    }
  }
}
