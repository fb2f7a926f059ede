import AlignmentCore
import Kernels

#if canImport(Glibc)
  import Glibc
#endif

/// Least-squares fitting of the relative density ratio r_α = π_t/(α·π_t + (1 − α)·π_s) by Gaussian kernels (Yamada et al. 2013,
/// arXiv 1106.4729, §2.2); α = 0 is uLSIF (Kanamori, Hido and Sugiyama 2009, "A least-squares approach to direct importance
/// estimation", §3).
///
/// θ = (H + λI)⁻¹h with H = α·mean_t kkᵀ + (1 − α)·mean_s kkᵀ and h = mean_t k; negative coefficients become 0. σ and λ are
/// chosen by J = ½·(α·E_t r² + (1 − α)·E_s r²) − E_t r on held-out prompts. One pass over the data sums kkᵀ and k of each
/// fold; everything else follows from these sums.
package struct RuLSIFEstimator: DensityEstimator {
  package static let name = "rulsif"
  package static let summary =
    "least-squares fit of the α-relative ratio by kernels, arXiv 1106.4729; uLSIF with alpha 0"
  package static let options = [
    OptionDescription("alpha", default: 0.1, in: 0...0.99, "α of the relative ratio, which is at most 1/α; 0 is uLSIF"),
    OptionDescription.centers, OptionDescription.sigma,
    OptionDescription("lambda", default: 0, in: 0...1e6, "ridge of the fit; 0 chooses 0.001, 0.01, 0.1 or 1"),
    OptionDescription.folds,
  ]
  package let needs: DensityNeeds = [.features, .targetSamples]

  private let alpha: Double
  private let centers: Int
  private let sigma: Double
  private let lambda: Double
  private let folds: Int

  package init(options: OptionValues) {
    alpha = options["alpha"]
    centers = Int(options["centers"])
    sigma = options["sigma"]
    lambda = options["lambda"]
    folds = Int(options["folds"])
  }

  package func estimate(_ evidence: DensityEvidence) throws -> DensityEstimate {
    let table = try FeatureTable(evidence)
    let basis = GaussianBasis(table, count: centers, seed: evidence.seed)
    let median = table.medianDistance(seed: evidence.seed)
    let widths = sigma > 0 ? [sigma] : [0.5 * median, median, 2 * median]
    let sums = Self.sums(basis, widths, PromptFolds(evidence, count: folds))
    let (width, lambda, score) = try choose(sums)
    let total = Self.total(sums[width])
    let coefficients = try fit(total, lambda)
    var estimate = DensityEstimate(
      logRatios: basis.logRatios(logCoefficients: coefficients.map { log($0) }, bandwidth: widths[width]))
    estimate.findings = [
      ("features", Double(table.width)), ("constant_features", Double(table.constantFeatures)),
      ("sigma", widths[width]), ("lambda", lambda), ("median_distance", median),
      ("pearson_divergence", -loss(coefficients, total) - 0.5),
    ]
    if let score { estimate.findings.append(("held_out_pearson_divergence", -score - 0.5)) }
    return estimate
  }
}

extension RuLSIFEstimator {
  /// Σ kkᵀ and Σ k over some responses.
  private struct KernelSums {
    /// (L, L), lower triangle.
    var gram: DoubleMatrix
    /// (L)
    var sum: [Double]
    var count = 0.0

    init(centers: Int) {
      gram = DoubleMatrix(rows: centers, columns: centers)
      sum = [Double](repeating: 0, count: centers)
    }

    mutating func add(_ other: KernelSums, scaledBy factor: Double = 1) {
      gram.add(other.gram, scaledBy: factor)
      for i in sum.indices { sum[i] += factor * other.sum[i] }
      count += factor * other.count
    }

    /// The mean of r = θ·k.
    func mean(_ theta: [Double]) -> Double { zip(theta, sum).reduce(0) { $0 + $1.0 * $1.1 } / count }

    /// The mean of r².
    func meanSquare(_ theta: [Double]) -> Double {
      var total = 0.0
      for i in theta.indices where theta[i] != 0 {
        for j in 0..<i { total += 2 * theta[i] * theta[j] * gram[i, j] }
        total += theta[i] * theta[i] * gram[i, i]
      }
      return total / count
    }
  }

  /// The sums of each fold, for each width of the kernels.
  private static func sums(
    _ basis: GaussianBasis, _ widths: [Double], _ folds: PromptFolds
  ) -> [[PerDomain<KernelSums>]] {
    let empty = PerDomain { _ in KernelSums(centers: basis.count) }
    var sums = widths.map { _ in [PerDomain<KernelSums>](repeating: empty, count: folds.count) }
    let ones = [Double](repeating: 1, count: FeatureTable.blockRows)
    var kernels = DoubleMatrix(rows: FeatureTable.blockRows, columns: basis.count)
    for fold in 0..<folds.count {
      for domain in Domain.allCases {
        basis.forEachBlock(folds.rows(of: domain, in: fold), of: domain) { distances, range in
          kernels.rows = range.count
          for (w, width) in widths.enumerated() {
            GaussianKernel.evaluate(distances, rate: GaussianBasis.rate(width), into: &kernels)
            DoubleProduct.addGram(of: kernels, into: &sums[w][fold][domain].gram)
            DoubleProduct.add(transposed: kernels, ones, into: &sums[w][fold][domain].sum)
            sums[w][fold][domain].count += Double(range.count)
          }
        }
      }
    }
    return sums
  }

  private static func total(_ folds: [PerDomain<KernelSums>]) -> PerDomain<KernelSums> {
    folds.dropFirst().reduce(into: folds[0]) { total, fold in
      for domain in Domain.allCases { total[domain].add(fold[domain]) }
    }
  }

  /// θ = max(0, (H + λI)⁻¹h). One coefficient is positive at least, because hᵀθ is before the others are cut off.
  private func fit(_ sums: PerDomain<KernelSums>, _ lambda: Double) throws -> [Double] {
    var h = DoubleMatrix(rows: sums.target.sum.count, columns: sums.target.sum.count)
    h.add(sums.target.gram, scaledBy: alpha / sums.target.count)
    h.add(sums.source.gram, scaledBy: (1 - alpha) / sums.source.count)
    guard let factor = Cholesky(h, shift: lambda) else {
      throw Fault(
        .configuration, "lambda \(lambda) does not make the kernels' matrix invertible", at: "weights.lambda",
        hint: "raise it, or leave it out to have it chosen")
    }
    return factor.solve(sums.target.sum.map { $0 / sums.target.count }).map { max(0, $0) }
  }

  /// J of a fit on some responses.
  private func loss(_ theta: [Double], _ sums: PerDomain<KernelSums>) -> Double {
    0.5 * (alpha * sums.target.meanSquare(theta) + (1 - alpha) * sums.source.meanSquare(theta))
      - sums.target.mean(theta)
  }

  /// The width and λ with the least mean J over held-out folds; the middle ones where no fold can be held out.
  private func choose(_ sums: [[PerDomain<KernelSums>]]) throws -> (width: Int, lambda: Double, score: Double?) {
    let lambdas = lambda > 0 ? [lambda] : [0.001, 0.01, 0.1, 1]
    var best: (width: Int, lambda: Double, score: Double?) = (sums.count / 2, lambdas[lambdas.count / 2], nil)
    for (width, folds) in sums.enumerated() {
      let scores = try heldOutScores(folds, lambdas)
      for (lambda, score) in zip(lambdas, scores) where score < best.score ?? .infinity {
        best = (width, lambda, score)
      }
    }
    return best
  }

  /// Mean J over the folds that can be held out, for each λ; none where there is no such fold.
  private func heldOutScores(_ folds: [PerDomain<KernelSums>], _ lambdas: [Double]) throws -> [Double] {
    let total = Self.total(folds)
    let usable = folds.filter { fold in
      Domain.allCases.allSatisfy { fold[$0].count > 0 && fold[$0].count < total[$0].count }
    }
    guard !usable.isEmpty else { return [] }
    var scores = [Double](repeating: 0, count: lambdas.count)
    for fold in usable {
      var training = total
      for domain in Domain.allCases { training[domain].add(fold[domain], scaledBy: -1) }
      for (i, lambda) in lambdas.enumerated() {
        scores[i] += try loss(fit(training, lambda), fold) / Double(usable.count)
      }
    }
    return scores
  }
}
