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
    abstract: "Time the fit of density ratios by features, on two Gaussians whose ratio is known.",
    discussion: "Tells how the log-ratios that were found go with the true ones, and ends with an error if not at all.")

  @Option(help: "Estimators, separated by commas.")
  var estimators = "discriminator,rulsif"

  @Option(help: "Responses of the source.")
  var examples = 1_000_000

  @Option(help: "Samples of the policy.")
  var samples = 250_000

  @Option(help: "Features of each.")
  var features = 64

  /// Distance of the two means: a shift that an AUC of 0.76 tells apart.
  private static let shift = 1.0

  func run() throws {
    guard examples > 1, samples > 1, features > 0 else {
      throw Fault(.usage, "--examples and --samples must be above 1, --features above 0")
    }
    let evidence = gaussians()
    for name in estimators.split(separator: ",").map(String.init) {
      let estimator = try DensityRegistry.make(name)
      let begin = now()
      let estimate = try estimator.estimate(evidence)
      let seconds = now() - begin
      let correlation = correlation(estimate.logRatios, of: evidence)
      guard correlation > 0 else {
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

  /// N(0, 1) in all features, and N(shift, 1) in the first one of the samples.
  private func gaussians() -> DensityEvidence {
    var evidence = DensityEvidence()
    evidence.featureNames = (0..<features).map { "feature \($0)" }
    evidence.source.prompts = Array(0..<examples)
    evidence.source.features = normals(examples, domain: 0)
    evidence.target.prompts = Array(examples..<examples + samples)
    evidence.target.features = normals(samples, domain: 1)
    for row in 0..<samples { evidence.target.features[row * features] += Float(Self.shift) }
    return evidence
  }

  private func normals(_ count: Int, domain: Int) -> [Float] {
    let stream = RandomStream(seed: 0, purpose: .evaluation, domain)
    return (0..<count * features).map { Float(stream.normal(at: $0)) }
  }

  /// With log N(x; shift, 1) − log N(x; 0, 1), which is the first feature but for a factor and a constant.
  private func correlation(_ found: [Double], of evidence: DensityEvidence) -> Double {
    let truth = (0..<examples).map { Double(evidence.source.features[$0 * features]) }
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
