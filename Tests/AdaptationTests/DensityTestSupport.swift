import Adaptation
import AlignmentCore
import Foundation
import JSON
import Testing

/// A file of `Tests/AdaptationTests/Fixtures` as JSON.
func densityFixture(_ name: String) throws -> JSONValue {
  let directory = URL(filePath: #filePath).deletingLastPathComponent()
  return try JSONValue.parse(Array(Data(contentsOf: directory.appending(path: "Fixtures/\(name)"))))
}

extension JSONValue {
  /// The numbers of an array.
  var doubles: [Double] { arrayValue?.compactMap(\.doubleValue) ?? [] }

  /// The rows of a matrix.
  var rows: [[Double]] { arrayValue?.map(\.doubles) ?? [] }

  /// Settings of a recipe.
  var settings: [String: String] {
    var result: [String: String] = [:]
    for (key, value) in objectValue?.members ?? [] { result[key.description] = value.stringValue }
    return result
  }
}

/// Evidence of features alone; without prompts every response has one of its own.
func featureEvidence(
  _ source: [[Double]], _ target: [[Double]], prompts: (source: [Int], target: [Int])? = nil, seed: UInt64 = 0
) -> DensityEvidence {
  var evidence = DensityEvidence()
  evidence.source.prompts = prompts?.source ?? Array(0..<source.count)
  evidence.target.prompts = prompts?.target ?? Array(source.count..<source.count + target.count)
  evidence.source.features = source.flatMap { $0.map { Float($0) } }
  evidence.target.features = target.flatMap { $0.map { Float($0) } }
  evidence.featureNames = (source.first ?? target.first ?? []).indices.map { "feature \($0)" }
  evidence.seed = seed
  return evidence
}

func estimate(
  _ evidence: DensityEvidence, _ name: String, _ settings: [String: String] = [:]
) throws -> DensityEstimate {
  try DensityRegistry.make(name, settings: settings).estimate(evidence)
}

extension DensityEstimate {
  func finding(_ name: String) -> Double? { findings.first { $0.name == name }?.value }
}

/// Numbers that owe nothing to the code under test (Steele et al. 2014, SplitMix64).
struct TestNumbers {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func uniform() -> Double {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return (Double((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53
  }

  mutating func normal() -> Double { (-2 * log(uniform())).squareRoot() * cos(2 * .pi * uniform()) }

  /// Normal rows with a mean and a standard deviation for all features.
  mutating func normalRows(_ count: Int, _ width: Int = 1, mean: Double = 0, deviation: Double = 1) -> [[Double]] {
    (0..<count).map { _ in (0..<width).map { _ in mean + deviation * normal() } }
  }
}

/// Two Gaussians on the line, whose log-ratio is known.
struct GaussianPair {
  let evidence: DensityEvidence
  /// log N(x; m, s²) − log N(x; 0, 1) of each source response.
  let logRatios: [Double]

  init(source: Int, target: Int, mean: Double, deviation: Double = 1, seed: UInt64 = 5) {
    var numbers = TestNumbers(seed)
    let (a, b) = (
      numbers.normalRows(source), numbers.normalRows(target, mean: mean, deviation: deviation)
    )
    evidence = featureEvidence(a, b)
    logRatios = a.map { row in
      let (x, z) = (row[0], (row[0] - mean) / deviation)
      return 0.5 * (x * x - z * z) - log(deviation)
    }
  }

  /// The root of the mean square, under the source, of w − ŵ, each divided by its mean.
  func error(of estimate: DensityEstimate) -> Double {
    let (exact, found) = (meanOne(logRatios), meanOne(estimate.logRatios))
    let squares = zip(exact, found).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    return (squares / Double(exact.count)).squareRoot()
  }

  /// Weights with mean 1.
  private func meanOne(_ logWeights: [Double]) -> [Double] {
    let weights = logWeights.map { exp($0) }
    let mean = weights.reduce(0, +) / Double(weights.count)
    return weights.map { $0 / mean }
  }
}
