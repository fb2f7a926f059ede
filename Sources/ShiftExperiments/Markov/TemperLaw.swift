import Adaptation

#if canImport(Glibc)
  import Glibc
#endif

/// How the exponent that keeps half of the effective sample size depends on length: log w is a sum over tokens, so its variance
/// grows with T, and ESS/N ≈ exp(−τ²·Var log w) gives τ ∝ 1/√T.
package struct TemperLaw: Sendable {
  /// One length.
  package struct Point: Sendable {
    package let length: Int
    /// τ with ESS/N = ½.
    package let exponent: Interval
    /// τ·√T
    package let scaled: Interval
    /// ESS/N of the raw weights.
    package let rawShare: Double
  }

  /// Shorter texts would need a τ above 1 in some worlds.
  package static let lengths = [8, 16, 32, 64, 128]
  package let shift: Double
  package let points: [Point]
  /// Slope of log τ against log T by least squares, in each world: −½ by the law; a correction by length would be right for −1.
  package let slope: Interval

  /// Measures with the pairs of the source alone.
  package init(shift: Double = 0.35, seeds: [UInt64], _ scale: MarkovScale = MarkovScale()) throws {
    self.shift = shift
    let reports = try Self.lengths.map { length in
      try seeds.map { seed in
        let regime = MarkovRegime(name: "T = \(length)", length: length, shift: shift)
        return try MarkovTrial(regime, seed: seed, scale).weights(.exact, .effective(0.5)).report
      }
    }
    points = zip(Self.lengths, reports).map { length, reports in
      let exponents = reports.map(\.exponent)
      return Point(
        length: length, exponent: UnitSample(exponents).interval(),
        scaled: UnitSample(exponents.map { $0 * Double(length).squareRoot() }).interval(),
        rawShare: reports.map(\.raw.effectiveShare).mean)
    }
    slope = UnitSample(seeds.indices.map { seed in Self.slope(reports.map { $0[seed].exponent }) }).interval()
  }

  private static func slope(_ exponents: [Double]) -> Double {
    let (x, y) = (lengths.map { log(Double($0)) }, exponents.map { log($0) })
    let (centerX, centerY) = (x.mean, y.mean)
    let products = zip(x, y).map { ($0 - centerX) * ($1 - centerY) }
    return products.mean / x.map { ($0 - centerX) * ($0 - centerX) }.mean
  }
}
