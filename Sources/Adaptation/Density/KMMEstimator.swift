import AlignmentCore
import Kernels

#if canImport(Glibc)
  import Glibc
#endif

/// Kernel mean matching (Huang et al. 2007, "Correcting sample selection bias by unlabeled data", §3.2) on random Fourier features
/// z of a Gaussian kernel: the weights that minimise ½·‖mean_s w·z − mean_t z‖² + ½·ridge·mean_s (w − 1)².
///
/// Weights lie between 1/`max_ratio` and `max_ratio`; a lower bound of 0 would have no logarithm. In place of the original's bound
/// on the mean of w the ridge keeps it near 1. The dual has a variable for each Fourier feature, not for each response:
/// w = bounded(1 − z·y/ridge) at its solution y, which Newton's method finds in few passes over the data because the
/// dual is piecewise quadratic.
package struct KMMEstimator: DensityEstimator {
  package static let name = "kmm"
  package static let summary = "kernel mean matching on random Fourier features (Huang et al. 2007)"
  package static let options = [
    OptionDescription("frequencies", default: 300, in: 1...2000, "random Fourier features of the kernel"),
    OptionDescription(
      "sigma", default: 0, in: 0...1e6, "width of the kernel on standardised features; 0 takes the median distance"),
    OptionDescription("ridge", default: 0.01, in: 1e-6...1e6, "½·ridge·mean (w − 1)² is added to the squared distance"),
    OptionDescription("max_ratio", default: 1000, in: 1...1e12, "weights lie between this and its inverse"),
  ]
  package let needs: DensityNeeds = [.features, .targetSamples]

  private let frequencies: Int
  private let sigma: Double
  private let ridge: Double
  private let bound: Double

  package init(options: OptionValues) {
    frequencies = Int(options["frequencies"])
    sigma = options["sigma"]
    ridge = options["ridge"]
    bound = options["max_ratio"]
  }

  package func estimate(_ evidence: DensityEvidence) throws -> DensityEstimate {
    let table = try FeatureTable(evidence)
    let median = table.medianDistance(seed: evidence.seed)
    let width = sigma > 0 ? sigma : median
    let features = RandomFeatures(table, count: frequencies, width: width, seed: evidence.seed)
    let dual = MatchingDual(features, ridge: ridge, bound: bound)
    let fit = dual.minimum()
    guard fit.hasConverged else {
      throw Fault(.data, "kernel mean matching does not converge", at: "weights", hint: "raise weights.ridge")
    }
    let weights = dual.weights(at: fit.point)
    var estimate = DensityEstimate(logRatios: weights.map { log($0) })
    estimate.findings = [
      ("features", Double(table.width)), ("constant_features", Double(table.constantFeatures)), ("sigma", width),
      ("median_distance", median), ("discrepancy_before", dual.unweightedDiscrepancy()),
      ("discrepancy", dual.discrepancy(at: fit.point)), ("newton_steps", Double(fit.steps)),
    ]
    return estimate
  }
}

/// Random Fourier features of the Gaussian kernel exp(−‖φ − φ'‖²/(2σ²)).
private struct RandomFeatures {
  let table: FeatureTable
  /// (D, d), normal with variance 1/σ².
  private let frequencies: DoubleMatrix
  /// (D), uniform in [0, 2π).
  private let phases: [Double]

  var count: Int { phases.count }

  init(_ table: FeatureTable, count: Int, width: Double, seed: UInt64) {
    self.table = table
    let stream = RandomStream(seed: seed, purpose: .weighing, RandomUse.frequencies.rawValue)
    var frequencies = DoubleMatrix(rows: count, columns: table.width)
    for i in frequencies.elements.indices { frequencies.elements[i] = stream.normal(at: i) / width }
    self.frequencies = frequencies
    let phaseStream = RandomStream(seed: seed, purpose: .weighing, RandomUse.phases.rawValue)
    phases = (0..<count).map { 2 * .pi * phaseStream.uniform(at: $0) }
  }

  /// Calls a body with the features (rows, D) of a domain's responses, block by block.
  func forEachBlock(of domain: Domain, _ body: (inout DoubleMatrix, Range<Int>) -> Void) {
    var features = DoubleMatrix(rows: FeatureTable.blockRows, columns: count)
    table.forEachBlock(table.rows(of: domain), of: domain) { block, range in
      features.rows = range.count
      FourierFeatures.evaluate(block, frequencies: frequencies, phases: phases, into: &features)
      body(&features, range)
    }
  }

  /// mean w·z over a domain.
  func mean(of domain: Domain, _ weights: [Double]) -> [Double] {
    var sums = [Double](repeating: 0, count: count)
    forEachBlock(of: domain) { features, range in
      DoubleProduct.add(transposed: features, Array(weights[range]), into: &sums)
    }
    return sums.map { $0 / Double(weights.count) }
  }
}

/// ½‖y‖² + y·mean_t z − mean_s h(z·y) with h(s) = min ½·ridge·(w − 1)² + w·s over the bounded w.
private struct MatchingDual {
  private let features: RandomFeatures
  private let targetMean: [Double]
  private let ridge: Double
  private let bounds: ClosedRange<Double>
  private var count: Int { features.table.counts.source }

  init(_ features: RandomFeatures, ridge: Double, bound: Double) {
    (self.features, self.ridge, bounds) = (features, ridge, 1 / bound...bound)
    targetMean = features.mean(of: .target, [Double](repeating: 1, count: features.table.counts.target))
  }

  func minimum() -> NewtonMethod.Result {
    NewtonMethod().minimize(from: [Double](repeating: 0, count: features.count)) { point, curvature in
      addSourceMean(at: point, to: &curvature)
      for i in point.indices {
        curvature.value += point[i] * targetMean[i]
        curvature.gradient[i] += targetMean[i]
      }
      curvature.addRidge(1, at: point, variables: point.count)
    }
  }

  /// Adds −mean_s h with its gradient −mean_s w·z and its Hessian, the mean of zzᵀ/ridge over weights within the bounds.
  private func addSourceMean(at point: [Double], to curvature: inout Curvature) {
    var products = [Double](repeating: 0, count: FeatureTable.blockRows)
    var shares = products
    let share = 1 / Double(count)
    features.forEachBlock(of: .source) { features, range in
      DoubleProduct.multiply(features, point, into: &products)
      for i in 0..<range.count {
        let weight = weight(products[i])
        curvature.value -= share * (0.5 * ridge * (weight - 1) * (weight - 1) + weight * products[i])
        let isFree = bounds.lowerBound < weight && weight < bounds.upperBound
        (products[i], shares[i]) = (-share * weight, isFree ? (share / ridge).squareRoot() : 0)
      }
      DoubleProduct.add(transposed: features, products, into: &curvature.gradient)
      FeatureRows.scale(&features, by: shares)
      DoubleProduct.addGram(of: features, into: &curvature.hessian)
    }
  }

  /// The bounded w that minimises ½·ridge·(w − 1)² + w·s.
  private func weight(_ s: Double) -> Double { max(bounds.lowerBound, min(bounds.upperBound, 1 - s / ridge)) }

  /// w of each source response.
  func weights(at point: [Double]) -> [Double] {
    var result: [Double] = []
    result.reserveCapacity(count)
    var products = [Double](repeating: 0, count: FeatureTable.blockRows)
    features.forEachBlock(of: .source) { features, range in
      DoubleProduct.multiply(features, point, into: &products)
      result += products[..<range.count].map(weight)
    }
    return result
  }

  /// ‖mean_s w·z − mean_t z‖, the maximum mean discrepancy of the weighted source and the target, which is ‖y‖ at the solution.
  func discrepancy(at point: [Double]) -> Double { point.reduce(0) { $0 + $1 * $1 }.squareRoot() }

  /// The same with weights of 1.
  func unweightedDiscrepancy() -> Double {
    let sourceMean = features.mean(of: .source, [Double](repeating: 1, count: count))
    return discrepancy(at: zip(sourceMean, targetMean).map { $0 - $1 })
  }
}
