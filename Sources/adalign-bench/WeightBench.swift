import Adaptation
import AlignmentCore
import ArgumentParser
import JSON

#if canImport(Glibc)
  import Glibc
#endif

/// `adalign-bench weights`: how long density estimators that learn from features take.
struct WeightBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "weights",
    abstract: "Time the fit of density ratios by features, on mixtures of Gaussians whose ratio is known.",
    discussion: """
      Both domains have four clusters of unit variance, in shares of 4:3:2:1 in the source and 1:2:3:4 in the target. \
      Ends with an error where the log-ratios that were found do not go with the true ones (correlation 0.9).
      """)

  @Option(help: "Estimators, separated by commas.")
  var estimators = "discriminator,rulsif"

  @Option(help: "Responses of the source.")
  var examples = 1_000_000

  @Option(help: "Samples of the policy.")
  var samples = 250_000

  @Option(help: "Features of each.")
  var features = 64

  /// The share of each cluster in the source; the target has them the other way round.
  private static let shares = [0.4, 0.3, 0.2, 0.1]
  /// Each coordinate of a cluster's centre is this or its negative, so that all features together tell clusters apart.
  private static let distance: Float = 2

  func run() throws {
    guard examples > 1, samples > 1, features >= Self.shares.count else {
      throw Fault(.usage, "--examples and --samples must be above 1, --features \(Self.shares.count) or more")
    }
    let (evidence, truth) = mixtures()
    for name in estimators.split(separator: ",").map(String.init) {
      let estimator = try DensityRegistry.make(name)
      let begin = now()
      let estimate = try estimator.estimate(evidence)
      let seconds = now() - begin
      let correlation = correlation(estimate.logRatios, truth)
      guard correlation > 0.9 else {
        throw Fault(.data, "log-ratios of \(name) have the correlation \(correlation) with the true ones")
      }
      emit([
        ("bench", .string("weights")), ("estimator", .string(ByteString(name))),
        ("examples", .integer(Int64(examples))),
        ("samples", .integer(Int64(samples))), ("features", .integer(Int64(features))), ("seconds", .double(seconds)),
        ("correlation", .double(correlation)), ("peak_bytes", .integer(Int64(peakMemory))),
      ])
    }
  }

  /// Features of both domains, and the log-ratio of each example of the source.
  private func mixtures() -> (evidence: DensityEvidence, logRatios: [Double]) {
    let source = clusters(examples, domain: 0, Self.shares)
    let target = clusters(samples, domain: 1, Self.shares.reversed())
    var evidence = DensityEvidence()
    evidence.featureNames = (0..<features).map { "feature \($0)" }
    evidence.source.prompts = Array(0..<examples)
    evidence.source.features = features(source, domain: 0)
    evidence.target.prompts = Array(examples..<examples + samples)
    evidence.target.features = features(target, domain: 1)
    // Clusters do not overlap.
    let logRatios = zip(Self.shares.reversed(), Self.shares).map { log($0 / $1) }
    return (evidence, source.map { logRatios[$0] })
  }

  private func clusters(_ count: Int, domain: Int, _ shares: [Double]) -> [Int] {
    let stream = RandomStream(seed: 0, purpose: .evaluation, domain, 1)
    let ends = shares.indices.map { shares[...$0].reduce(0, +) }
    return (0..<count).map { row in
      let draw = stream.uniform(at: row)
      return ends.firstIndex { draw < $0 } ?? shares.count - 1
    }
  }

  /// (clusters, features)
  private var centres: [Float] {
    let stream = RandomStream(seed: 0, purpose: .evaluation, 2)
    return (0..<Self.shares.count * features).map { stream.uniform(at: $0) < 0.5 ? -Self.distance : Self.distance }
  }

  private func features(_ clusters: [Int], domain: Int) -> [Float] {
    let stream = RandomStream(seed: 0, purpose: .evaluation, domain, 0)
    var values = (0..<clusters.count * features).map { Float(stream.normal(at: $0)) }
    let centres = self.centres
    for (row, cluster) in clusters.enumerated() {
      for column in 0..<features { values[row * features + column] += centres[cluster * features + column] }
    }
    return values
  }

  private func correlation(_ found: [Double], _ truth: [Double]) -> Double {
    let (a, b) = (found.reduce(0, +) / Double(examples), truth.reduce(0, +) / Double(examples))
    var (ab, aa, bb) = (0.0, 0.0, 0.0)
    for (x, y) in zip(found, truth) {
      ab += (x - a) * (y - b)
      aa += (x - a) * (x - a)
      bb += (y - b) * (y - b)
    }
    return ab / (aa * bb).squareRoot()
  }
}
