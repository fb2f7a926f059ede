#if canImport(Glibc)
  import Glibc
#endif

/// Log-weights that are kept from ruling all others.
struct FlattenedWeights: Sendable {
  var logs: LogWeights
  /// What the raw log-weights were multiplied by: 1 where their tail is as it was.
  var exponent: Double
  /// Whether the weights have a bound that the data do not set.
  var isBounded: Bool

  /// Flattens raw log-weights as settings say.
  ///
  /// `relative` and `clip` speak of a ratio, whose mean over the source is 1. Estimators know theirs up to a constant
  /// only, so it is brought to that mean first: the result does not depend on the constant.
  init(_ composed: ComposedWeights, _ settings: WeightSettings) {
    (logs, exponent, isBounded) = (composed.logs, 1, false)
    switch settings.flattening {
    case .none: break
    case .temper: temper(settings.temper)
    case .ess: temper(logs.largestExponent(effectiveShare: settings.effectiveShare))
    case .relative: bound { Self.relative($0, alpha: settings.alpha) }
    case .clip: bound { min($0, log(settings.clip)) }
    case .psis: logs = logs.mapKept { composed.tail.smoothed($0) }
    }
  }

  private init(_ logs: LogWeights, exponent: Double, isBounded: Bool) {
    (self.logs, self.exponent, self.isBounded) = (logs, exponent, isBounded)
  }

  /// Weights of 1 for so many examples.
  static func uniform(_ count: Int) -> FlattenedWeights {
    FlattenedWeights(LogWeights([Double](repeating: 0, count: count)), exponent: 0, isBounded: true)
  }

  private mutating func temper(_ factor: Double) {
    exponent *= factor
    logs = logs.tempered(factor)
  }

  private mutating func bound(_ transform: (Double) -> Double) {
    isBounded = true
    logs = logs.normalized.mapKept { $0.map(transform) }
  }

  /// log of the ratio to a mixture with a share α of the target: l − log(α·exp(l) + 1 − α).
  private static func relative(_ l: Double, alpha: Double) -> Double {
    let (a, b) = (log(alpha) + l, log1p(-alpha))
    return l - [a, b].logSumExp()
  }

  /// The weights to the power of a factor.
  func shrunk(by factor: Double) -> FlattenedWeights {
    var result = self
    result.temper(factor)
    return result
  }
}

extension LogWeights {
  /// Transforms those that are not dropped, all at once and in order.
  func mapKept(_ transform: ([Double]) -> [Double]) -> LogWeights {
    var values = values
    let places = values.indices.filter { values[$0] > -.infinity }
    for (place, value) in zip(places, transform(places.map { values[$0] })) { values[place] = value }
    return LogWeights(values)
  }

  /// The largest τ in [0, 1] for which w^τ has an effective sample size of at least a share of all examples; 0 where
  /// dropped examples alone leave fewer.
  ///
  /// The effective sample size never rises with τ ≥ 0: the derivative of its log is 2·(K′(τ) − K′(2τ)), and K, the log
  /// of the mean of w^τ, is convex.
  func largestExponent(effectiveShare share: Double) -> Double {
    guard effectiveShare() < share else { return 1 }
    var (low, high) = (0.0, 1.0)
    for _ in 0..<Double.significandBitCount {
      let middle = (low + high) / 2
      if effectiveShare(exponent: middle) >= share { low = middle } else { high = middle }
    }
    return low
  }
}
