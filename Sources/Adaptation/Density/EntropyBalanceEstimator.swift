import AlignmentCore
import Kernels

#if canImport(Glibc)
  import Glibc
#endif

/// The weights closest to equal ones, in Kullback–Leibler divergence, that give the source the target's feature means
/// (Hainmueller 2012, "Entropy balancing for causal effects", §3.2): w ∝ exp(λ·φ).
///
/// λ minimises the dual log mean_s exp(λ·(φ − φ̄_t)) + ½·ridge·‖λ‖² over standardised features. Without ridge the means agree
/// exactly, where weights can do that at all: where φ̄_t lies outside the source's convex hull the dual is unbounded, which
/// shows when it falls below −log n_s, the least that any weights allow. Then a ridge takes over.
package struct EntropyBalanceEstimator: DensityEstimator {
  package static let name = "entropy_balance"
  package static let summary = "exponential tilt that gives the source the target's feature means (Hainmueller 2012)"
  package static let options = [
    OptionDescription("ridge", default: 0, in: 0...1e9, "½·ridge·‖λ‖² is added to the dual; 0 balances means exactly")
  ]
  package let needs: DensityNeeds = [.features, .targetSamples]

  /// For means that no weights can have. With features of variance 1 it moves a normal source ten elevenths of the way.
  private static let fallbackRidge = 0.1
  /// Differences of means, in standard deviations, that are rounding.
  private static let exactBalance = 1e-6

  private let ridge: Double

  package init(options: OptionValues) { ridge = options["ridge"] }

  package func estimate(_ evidence: DensityEvidence) throws -> DensityEstimate {
    let table = try FeatureTable(evidence)
    let dual = BalanceDual(table)
    var (ridge, fit) = (ridge, dual.minimum(ridge: ridge))
    if !fit.hasConverged {
      ridge = max(ridge, Self.fallbackRidge)
      fit = dual.minimum(ridge: ridge)
    }
    guard fit.hasConverged else {
      throw Fault(.data, "entropy balancing does not converge", at: "weights", hint: "raise weights.ridge")
    }
    let imbalance = dual.imbalance(at: fit.point)
    var estimate = DensityEstimate(logRatios: dual.logWeights(at: fit.point))
    estimate.findings = [
      ("features", Double(table.width)), ("constant_features", Double(table.constantFeatures)), ("ridge", ridge),
      ("largest_imbalance", imbalance), ("is_balanced", imbalance <= Self.exactBalance ? 1 : 0),
      ("newton_steps", Double(fit.steps)),
    ]
    return estimate
  }
}

/// log mean_s exp(λ·(φ − φ̄_t)) as a function of λ.
private struct BalanceDual {
  private let table: FeatureTable
  private let rows: [Int32]
  private let targetMean: [Double]

  init(_ table: FeatureTable) {
    self.table = table
    rows = table.rows(of: .source)
    targetMean = table.mean(of: .target)
  }

  func minimum(ridge: Double) -> NewtonMethod.Result {
    let floor = ridge > 0 ? -.infinity : -log(Double(rows.count)) - 1e-9
    let start = [Double](repeating: 0, count: table.width)
    return NewtonMethod().minimize(from: start, floor: floor) { point, curvature in
      add(at: point, to: &curvature)
      curvature.addRidge(ridge, at: point, variables: table.width)
    }
  }

  /// Adds the value and its derivatives, the weighted mean and covariance of φ − φ̄_t.
  private func add(at point: [Double], to curvature: inout Curvature) {
    var shift = -Double.infinity
    var total = 0.0
    var weights = [Double](repeating: 0, count: FeatureTable.blockRows)
    table.forEachBlock(rows, of: .source) { block, range in
      FeatureRows.subtract(targetMean, from: &block)
      DoubleProduct.multiply(block, point, into: &weights)
      let largest = weights[..<range.count].max() ?? shift
      if largest > shift {
        let factor = exp(shift - largest)
        total *= factor
        curvature.scale(by: factor)
        shift = largest
      }
      for i in 0..<range.count {
        weights[i] = exp(weights[i] - shift)
        total += weights[i]
      }
      DoubleProduct.add(transposed: block, weights, into: &curvature.gradient)
      for i in 0..<range.count { weights[i] = weights[i].squareRoot() }
      FeatureRows.scale(&block, by: weights)
      DoubleProduct.addGram(of: block, into: &curvature.hessian)
    }
    curvature.scale(by: 1 / total)
    curvature.value = shift + log(total / Double(rows.count))
    for i in point.indices {
      for j in 0...i { curvature.hessian[i, j] -= curvature.gradient[i] * curvature.gradient[j] }
    }
  }

  /// The largest difference of a feature's weighted source mean and its target mean, in standard deviations.
  func imbalance(at point: [Double]) -> Double {
    var curvature = Curvature(variables: point.count)
    add(at: point, to: &curvature)
    return curvature.gradient.reduce(0) { max($0, abs($1)) }
  }

  /// log w of each source response, up to a constant.
  func logWeights(at point: [Double]) -> [Double] {
    var result: [Double] = []
    result.reserveCapacity(rows.count)
    var exponents = [Double](repeating: 0, count: FeatureTable.blockRows)
    table.forEachBlock(rows, of: .source) { block, range in
      DoubleProduct.multiply(block, point, into: &exponents)
      result += exponents[..<range.count]
    }
    return result
  }
}
