#if canImport(Glibc)
  import Glibc
#endif

extension WeightSettings.Composition {
  /// The log-ratio of an example of responses with these.
  func logWeight(_ logRatios: [Double]) -> Double {
    switch self {
    case .product: logRatios.contains(-.infinity) ? -.infinity : logRatios.compensatedSum()
    case .mean: logRatios.logMeanExp()
    case .minimum: logRatios.min() ?? -.infinity
    case .first: logRatios.first ?? -.infinity
    }
  }

  /// What each response counts for where features of weighted responses are compared with the target's; adds up to
  /// their number, or to 1 for `first`.
  ///
  /// `mean` asks for one response of the target among others of the source: each counts by how likely it is to be that
  /// one.
  func shares(_ logRatios: [Double]) -> [Double] {
    switch self {
    case .product, .minimum: return [Double](repeating: 1, count: logRatios.count)
    case .first: return logRatios.indices.map { $0 == 0 ? 1 : 0 }
    case .mean:
      let total = logRatios.logMeanExp()
      guard total > -.infinity else { return [Double](repeating: 1, count: logRatios.count) }
      return logRatios.map { exp($0 - total) }
    }
  }
}
