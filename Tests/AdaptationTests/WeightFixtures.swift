import Adaptation
import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// A language model of 5 tokens and responses of 3: every one of its 125 responses has a probability.
struct ToyModel {
  static let vocabulary = 5
  static let length = 3
  static let responses: [[Int]] = (0..<125).map { [$0 / 25, $0 / 5 % 5, $0 % 5] }

  /// Of each response.
  let probabilities: [Double]

  /// - Parameters:
  ///   - next: the probability of a token after the tokens before it.
  init(next: (_ prefix: ArraySlice<Int>, _ token: Int) -> Double) {
    probabilities = Self.responses.map { response in
      response.indices.reduce(1) { $0 * next(response[..<$1], response[$1]) }
    }
  }

  /// A softmax of normal logits of each prefix.
  static func softmax(seed: UInt64, spread: Double = 0.5) -> ToyModel {
    ToyModel { prefix, token in
      let stream = RandomStream(seed: seed, purpose: .syntheticWorld, prefix.reduce(1) { 7 * $0 + $1 })
      let logits = (0..<vocabulary).map { spread * stream.normal(at: $0) }
      return exp(logits[token]) / logits.reduce(0) { $0 + exp($1) }
    }
  }

  /// A token that depends on the prefix has 2/6, the others have 1/6: all probabilities are multiples of 1/216.
  static func sixths(_ shift: Int) -> ToyModel {
    ToyModel { prefix, token in (prefix.reduce(shift) { 2 * $0 + $1 + 1 } % vocabulary == token ? 2 : 1) / 6 }
  }

  /// Data of 216 responses in which each has exactly its probability, for ``sixths(_:)``.
  var data: [Int] {
    probabilities.enumerated().flatMap { [Int](repeating: $0, count: Int((216 * $1).rounded())) }
  }
}

/// What is known of responses (places in ``ToyModel/responses``) to one prompt.
func evidence(_ data: [Int], target: ToyModel, sources: [ToyModel], shares: [Double] = []) -> DensityEvidence {
  var evidence = DensityEvidence()
  evidence.source.prompts = data.map { _ in 0 }
  evidence.source.lengths = data.map { _ in ToyModel.length }
  evidence.source.targetLogProbabilities = data.map { log(target.probabilities[$0]) }
  evidence.source.sourceLogProbabilities = sources.map { source in data.map { log(source.probabilities[$0]) } }
  evidence.generatorShares = shares
  return evidence
}

func estimator(_ name: String, _ settings: [String: String] = [:]) throws -> any DensityEstimator {
  try DensityRegistry.make(name, settings: settings)
}

/// Settings that were changed.
func settings(_ change: (inout WeightSettings) -> Void = { _ in }) -> WeightSettings {
  var settings = WeightSettings()
  change(&settings)
  return settings
}

/// Weights of examples of one response each with these log-ratios.
func weigh(
  _ logRatios: [Double], _ settings: WeightSettings = WeightSettings(), examples: [[Int]]? = nil,
  prompts: [Int]? = nil
) throws -> WeightFit {
  var evidence = DensityEvidence()
  evidence.source.prompts = prompts ?? logRatios.map { _ in 0 }
  return try WeightPipeline(settings).fit(
    DensityEstimate(logRatios: logRatios), evidence, examples: examples ?? logRatios.indices.map { [$0] })
}

/// Numbers of mean 0 and variance 1.
func normals(_ count: Int, seed: UInt64 = 1) -> [Double] {
  let stream = RandomStream(seed: seed, purpose: .syntheticWorld)
  return (0..<count).map(stream.normal(at:))
}

func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }

/// The largest difference between two lists.
func distance(_ a: [Double], _ b: [Double]) -> Double {
  a.count == b.count ? zip(a, b).map { abs($0 - $1) }.max() ?? 0 : .infinity
}
