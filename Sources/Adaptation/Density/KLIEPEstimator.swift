import AlignmentCore
import Kernels

#if canImport(Glibc)
  import Glibc
#endif

/// The Kullback–Leibler importance estimation procedure (Sugiyama et al. 2008, "Direct importance estimation for covariate shift
/// adaptation", §2): r = Σ α_l·k(·, c_l) with α ≥ 0 and mean_s r = 1 that maximises mean_t log r.
///
/// With β_l = α_l·mean_s k(·, c_l) this is the likelihood of a mixture whose weights β lie on the simplex; see
/// ``MixtureLikelihood``. All source responses take part in the means. The likelihood is taken over a random sample of
/// the target responses where they are more than ``likelihoodRows``: mixture weights of L kernels cost L/(2·rows) nats of
/// likelihood by being estimated, 0.003 with a hundred kernels. σ is chosen by the likelihood of held-out prompts.
package struct KLIEPEstimator: DensityEstimator {
  package static let name = "kliep"
  package static let summary = "maximum-likelihood fit of the ratio by kernels (Sugiyama et al. 2008)"
  package static let options = [
    OptionDescription.centers, OptionDescription.sigma, OptionDescription.folds,
    OptionDescription("tolerance", default: 1e-6, in: 1e-12...1, "duality gap that ends the fit, in nats"),
  ]
  package let needs: DensityNeeds = [.features, .targetSamples]

  /// Most target responses that the likelihood is taken over.
  static let likelihoodRows = 1 << 14

  private let centers: Int
  private let sigma: Double
  private let folds: Int
  private let tolerance: Double

  package init(options: OptionValues) {
    centers = Int(options["centers"])
    sigma = options["sigma"]
    folds = Int(options["folds"])
    tolerance = options["tolerance"]
  }

  package func estimate(_ evidence: DensityEvidence) throws -> DensityEstimate {
    let table = try FeatureTable(evidence)
    let basis = GaussianBasis(table, count: centers, seed: evidence.seed)
    let median = table.medianDistance(seed: evidence.seed)
    let widths = sigma > 0 ? [sigma] : [0.5 * median, median, 2 * median]
    let likelihoods = Self.likelihoods(basis, widths, seed: evidence.seed)
    let choice = choose(likelihoods, PromptFolds(evidence, count: folds))
    let likelihood = likelihoods[choice.width]
    let fit = likelihood.maximum(over: likelihood.rows.map { _ in true }, tolerance: tolerance)
    let coefficients = zip(fit.weights, likelihood.logMeans).map { log($0) - $1 }
    var estimate = DensityEstimate(
      logRatios: basis.logRatios(logCoefficients: coefficients, bandwidth: widths[choice.width]))
    estimate.findings = [
      ("features", Double(table.width)), ("constant_features", Double(table.constantFeatures)),
      ("sigma", widths[choice.width]), ("median_distance", median), ("likelihood_rows", Double(likelihood.rows.count)),
      ("kl_divergence", fit.value), ("duality_gap", fit.gap), ("newton_steps", Double(fit.steps)),
    ]
    if let score = choice.score { estimate.findings.append(("held_out_kl_divergence", score)) }
    return estimate
  }

  /// The likelihood for each width of the kernels, by one pass over the source.
  private static func likelihoods(_ basis: GaussianBasis, _ widths: [Double], seed: UInt64) -> [MixtureLikelihood] {
    let stream = RandomStream(seed: seed, purpose: .weighing, RandomUse.likelihoodRows.rawValue)
    let rows = stream.sample(likelihoodRows, of: basis.table.counts.target)
    let distances = basis.distances(rows, of: .target)
    return zip(widths, basis.kernelMeans(of: .source, widths)).map {
      MixtureLikelihood(rows, distances, rate: GaussianBasis.rate($0), means: $1)
    }
  }

  /// The width with the largest held-out likelihood; the middle one where there is no choice or no fold can be held out.
  private func choose(_ likelihoods: [MixtureLikelihood], _ folds: PromptFolds) -> (width: Int, score: Double?) {
    let middle: (width: Int, score: Double?) = (likelihoods.count / 2, nil)
    guard likelihoods.count > 1 else { return middle }
    return likelihoods.enumerated().reduce(middle) { best, candidate in
      guard let score = candidate.element.heldOut(folds, tolerance: tolerance), score > best.score ?? -.infinity else {
        return best
      }
      return (candidate.offset, score)
    }
  }
}
