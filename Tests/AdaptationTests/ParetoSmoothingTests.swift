import Adaptation
import Testing

#if canImport(Glibc)
  import Glibc
#endif

/// Pareto smoothing against arviz-stats 0.8.0 (numpy 2.4.6). The inputs are made by the same formula there and here:
/// ```
/// u = np.arange(1, n + 1) * 0.618033988749895; u -= np.floor(u)
/// l = a * np.log(u / (1 - u))                      # and np.round(l / step) * step
/// s, k = arviz_stats.base.array_stats.psislw(-l); s = np.sort(s)
/// k, s[-1], s[int(.9 * n)], s[int(.95 * n)], 1 / np.exp(np.logaddexp.reduce(2 * s))
/// ```
@Suite struct ParetoSmoothingTests {
  struct Golden: Sendable {
    var count: Int
    var spread: Double
    var step = 0.0
    var shape: Double
    /// The largest log-weight, those at 90 % and 95 %, and the effective sample size.
    var largest: Double
    var ninety: Double
    var ninetyFive: Double
    var effective: Double

    /// Quantiles of a logistic distribution in the order of a Weyl sequence.
    var logWeights: [Double] {
      (1...count).map { i in
        let x = Double(i) * 0.618033988749895
        let u = x - x.rounded(.down)
        let l = spread * log(u / (1 - u))
        return step > 0 ? (l / step).rounded(.toNearestOrEven) * step : l
      }
    }
  }

  static let goldens = [
    Golden(
      count: 1000, spread: 0.3, shape: 0.3212399874793434, largest: -4.751652403379764, ninety: -6.400451259238548,
      ninetyFive: -6.1763337458974314, effective: 697.6579279081817),
    Golden(
      count: 1000, spread: 0.7, shape: 0.6798624172825605, largest: -2.5471683064752386, ninety: -6.2730830956656405,
      ninetyFive: -5.749335273949505, effective: 86.79908870214375),
    Golden(
      count: 1000, spread: 1.5, shape: 1.3982872307994907, largest: -0.5957113224986155, ninety: -8.226522485262526,
      ninetyFive: -7.105854179132517, effective: 3.0818891219376976),
    Golden(
      count: 225, spread: 0.8, shape: 0.6795049041218907, largest: -1.9099368150537186, ninety: -4.721074540268988,
      ninetyFive: -4.169995959689603, effective: 26.783039876073165),
    Golden(
      count: 226, spread: 0.8, shape: 0.6795049041218907, largest: -1.9127148653482333, ninety: -4.723852590563503,
      ninetyFive: -4.172774009984117, effective: 26.926682078974174),
    Golden(
      count: 100, spread: 0.5, shape: 0.4157014618697262, largest: -2.578940812780251, ninety: -3.882264765579552,
      ninetyFive: -3.503247020912381, effective: 46.83772247713185),
    Golden(
      count: 25, spread: 1.0, shape: 0.6312864570907932, largest: -1.0413063449681075, ninety: -2.3046554354388054,
      ninetyFive: -1.8677412754342861, effective: 5.767522078365452),
    Golden(
      count: 1000, spread: 0.7, step: 0.25, shape: 0.5877339375808253, largest: -2.6960991426979697,
      ninety: -6.311805300184119, ninetyFive: -5.724114838394029, effective: 100.6383663803757),
    Golden(
      count: 10000, spread: 3.0, shape: 2.9001124208151174, largest: -0.06994250549367066, ninety: -22.350980500707962,
      ninetyFive: -20.111413559172775, effective: 1.1470321955481324),
    Golden(
      count: 400, spread: 20.0, shape: 14.568092987682867, largest: -1.120752308736428e-07, ninety: -63.656782493596694,
      ninetyFive: -53.371106916186974, effective: 1.0000002241504744),
  ]

  @Test(arguments: goldens)
  func smoothingIsThatOfArviz(_ golden: Golden) throws {
    let raw = golden.logWeights
    let smoothing = ParetoSmoothing(raw)
    let shape = try #require(smoothing.shape)
    #expect(isClose(shape, golden.shape))
    let total = logSumExp(smoothing.smoothed(raw))
    let sorted = smoothing.smoothed(raw).map { $0 - total }.sorted()
    #expect(isClose(sorted[golden.count - 1], golden.largest))
    #expect(isClose(sorted[Int(0.9 * Double(golden.count))], golden.ninety))
    #expect(isClose(sorted[Int(0.95 * Double(golden.count))], golden.ninetyFive))
    #expect(isClose(exp(-logSumExp(sorted.map { 2 * $0 })), golden.effective))
  }

  /// Both sides add up to a few hundred numbers in Float64, in different orders.
  private func isClose(_ a: Double, _ b: Double) -> Bool { abs(a - b) < 1e-9 * max(1, abs(b)) }

  private func logSumExp(_ values: [Double]) -> Double { log(values.reduce(0) { $0 + exp($1) }) }

  @Test func orderIsKeptAndNothingRisesAboveTheLargest() {
    for golden in Self.goldens {
      let raw = golden.logWeights
      let smoothed = ParetoSmoothing(raw).smoothed(raw)
      let order = raw.indices.sorted { (raw[$0], $0) < (raw[$1], $1) }
      #expect(zip(order, order.dropFirst()).allSatisfy { smoothed[$0] <= smoothed[$1] })
      #expect(smoothed.max()! <= raw.max()!)
      #expect(smoothed != raw)
    }
  }

  // Where arviz-stats throws or gives NaN: equal weights, too few, a constant tail, a tail that begins with equal
  // weights.
  @Test func withoutATailWeightsStayAsTheyAre() {
    let constantTail = [Double](repeating: 0, count: 900) + [Double](repeating: 1, count: 100)
    let tiedTail = [Double](repeating: 0, count: 980) + (0..<20).map(Double.init)
    for logWeights in [
      [], [0], [Double](repeating: 3, count: 100), (0..<24).map { Double($0) / 10 }, constantTail, tiedTail,
    ] {
      let smoothing = ParetoSmoothing(logWeights)
      #expect(smoothing.shape == nil)
      #expect(smoothing.smoothed(logWeights) == logWeights)
    }
  }

  // The tail spans more than 745 nats: most of its weights are 0 beside the largest.
  @Test func aTailBeyondFloat64HasAnInfiniteShape() {
    let logWeights = Golden(
      count: 1000, spread: 300, shape: 0, largest: 0, ninety: 0, ninetyFive: 0, effective: 0
    ).logWeights
    let smoothing = ParetoSmoothing(logWeights)
    #expect(smoothing.shape == .infinity)
    #expect(smoothing.smoothed(logWeights) == logWeights)
  }

  @Test func aConstantChangesNothing() throws {
    let raw = Self.goldens[1].logWeights
    let (a, b) = (ParetoSmoothing(raw), ParetoSmoothing(raw.map { $0 - 5000 }))
    #expect(isClose(try #require(a.shape), try #require(b.shape)))
    #expect(a.tail == b.tail)
  }
}
