#if canImport(Glibc)
  import Glibc
#endif

/// How the members of an ensemble become one.
package enum EnsembleReduction: Sendable, Equatable {
  case mean
  /// The most cautious member (worst-case optimisation, Coste et al. 2023, arXiv 2310.02743).
  case minimum
  /// Mean − λ · standard deviation, of the members as they are and not of a population they stand for.
  case lowerConfidenceBound(lambda: Double)

  /// The value of an ensemble whose members say `values`, at least one.
  package func callAsFunction(_ values: [Double]) -> Double {
    precondition(!values.isEmpty, "an ensemble has members")
    let mean = values.mean
    switch self {
    case .mean: return mean
    case .minimum: return values.reduce(.infinity, min)
    case .lowerConfidenceBound(let lambda):
      return mean - lambda * values.map { ($0 - mean) * ($0 - mean) }.mean.squareRoot()
    }
  }

  /// For identities.
  var name: String {
    switch self {
    case .mean: "mean"
    case .minimum: "minimum"
    case .lowerConfidenceBound(let lambda): "mean - \(lambda) sd"
    }
  }
}
