import AlignmentCore
import ShiftExperiments
import Testing

#if canImport(Glibc)
  import Glibc
#endif

// Expected values are those of scipy 1.17.1 (`scipy.stats.t.cdf`, `t.sf`, `t.ppf`, `ttest_1samp`, `t.interval`,
// `wilcoxon(…)`, for ties `wilcoxon(…, method="approx")`) and statsmodels (`multipletests(p, method="holm")`), except where a
// test says otherwise.
@Suite("Statistics of experiments")
struct StatisticsTests {
  private static let differences = [0.31, -0.12, 0.45, 0.08, 0.27, -0.33, 0.52, 0.19, 0.04, 0.61, -0.05, 0.22]
  /// Both sides are Float64 arithmetic of a hundred operations at most.
  private static let tolerance = 1e-12

  private func isClose(_ value: Double, _ expected: Double) -> Bool {
    abs(value - expected) <= Self.tolerance * max(1, abs(expected))
  }

  @Test(arguments: [
    (1, 0.5, 0.6475836176504333), (3, 2.2, 0.9424140240117647), (11, -1.7, 0.05859820932343865),
    (23, 4.5, 0.9999190648298689), (200, 0.01, 0.5039843724233595),
  ])
  func studentsDistributionIsScipys(degrees: Int, x: Double, cumulative: Double) {
    #expect(isClose(StudentDistribution(degreesOfFreedom: Double(degrees)).cumulative(x), cumulative))
  }

  @Test func smallTailsKeepTheirDigits() {
    let tail = StudentDistribution(degreesOfFreedom: 23).twoSidedTail(12)
    #expect(abs(tail / 2.2101889236582475e-11 - 1) < 1e-10)
  }

  @Test(arguments: [
    (1, 0.95, 12.706204736174694), (11, 0.95, 2.200985160091639), (23, 0.9, 1.713871527747048),
    (23, 0.99, 2.807335683769999),
  ])
  func quantilesOfStudentAreScipys(degrees: Int, level: Double, quantile: Double) {
    #expect(isClose(StudentDistribution(degreesOfFreedom: Double(degrees)).halfWidth(ofLevel: level), quantile))
  }

  @Test func pairedTTestIsScipys() {
    let paired = UnitSample(Self.differences)
    #expect(isClose(paired.studentP, 0.042189850616118366))
    let interval = paired.interval()
    #expect(isClose(interval.lower, 0.007694588891959675))
    #expect(isClose(interval.upper, 0.3573054111080403))
  }

  @Test func wilcoxonCountsSmallSamplesOut() {
    #expect(isClose(UnitSample(Self.differences).wilcoxonP, 0.06396484375))
    let waves = (0..<24).map { sin(Double($0) * 1.3) + 0.4 }
    #expect(isClose(UnitSample(waves).wilcoxonP, 0.016406655311584473))
    #expect(isClose(UnitSample(waves).studentP, 0.011485274494853488))
  }

  @Test func wilcoxonApproximatesLargeSamplesAndTies() {
    let waves = (0..<60).map { sin(Double($0) * 1.7) + 0.2 }
    #expect(isClose(UnitSample(waves).wilcoxonP, 0.03590012321587811))
    let tied: [Double] = [1, -1, 2, 2, -3, 0, 4, 1, 5, -2, 3, 3]
    #expect(isClose(UnitSample(tied).wilcoxonP, 0.10740463633025372))
  }

  @Test func noDifferenceIsNoEvidence() {
    let none = UnitSample([0, 0, 0])
    #expect(none.studentP == 1 && none.wilcoxonP == 1)
    #expect(UnitSample([2, 2, 2]).studentP == 0)
  }

  @Test func differencesAreTakenUnitByUnit() {
    #expect(UnitSample([3, 5], minus: [1, 2]).values == [2, 3])
  }

  @Test func holmIsStatsmodels() {
    let adjusted = holmAdjusted([0.01, 0.04, 0.03, 0.005, 0.2, 0.9])
    #expect(zip(adjusted, [0.05, 0.12, 0.12, 0.03, 0.4, 0.9]).allSatisfy { isClose($0, $1) })
  }

  /// Against `numpy.quantile([1, 2, 4, 8], [0, 0.25, 0.5, 0.9, 1])`.
  @Test func quantilesAreNumpys() {
    let quantiles = [0, 0.25, 0.5, 0.9, 1].map { [1.0, 2, 4, 8].quantile($0) }
    #expect(zip(quantiles, [1, 1.75, 3, 6.8, 8]).allSatisfy { isClose($0, $1) })
    #expect([3.0].quantile(0.3) == 3)
  }

  @Test func bootstrapOfAMeanHasTheErrorOfTheMean() {
    let interval = Bootstrap(units: 12, seed: 1).interval(of: [Self.differences]) { $0[0] }
    // The bootstrap distribution of a mean has the variance Σ(x − x̄)²/n²; nearly normal already for 12 units.
    let deviation = (Self.differences.variance * 11 / 144).squareRoot()
    #expect(isClose(interval.estimate, Self.differences.mean))
    #expect(abs(interval.upper - interval.lower - 2 * 1.96 * deviation) < 0.05 * deviation * 4)
  }

  @Test func ratioIsOfMeansNotMeanOfRatios() {
    let ratio = Bootstrap(units: 3, seed: 1).ratioOfMeans([1, 2, 3], [2, 2, 2])
    #expect(ratio.estimate == 1)
    #expect(ratio.lower >= 0.5 && ratio.upper <= 1.5 && ratio.lower < ratio.upper)
    // A numerator in proportion to its denominator has no spread, however different the units are.
    let exact = Bootstrap(units: 3, seed: 1).ratioOfMeans([1, 20, 300], [2, 40, 600])
    #expect(isClose(exact.lower, 0.5) && isClose(exact.upper, 0.5))
  }

  @Test func intervalsCoverAsOftenAsTheySay() {
    // Of 400 samples of 24 normal numbers, about 95 % of the t intervals and, being percentiles of 24 units, slightly
    // fewer of the bootstrap's hold the mean; bounds of four binomial deviations.
    let stream = RandomStream(seed: 5, purpose: .evaluation)
    let bootstrap = Bootstrap(units: 24, resamples: 400, seed: 2)
    var covered = (student: 0, bootstrap: 0)
    for sample in 0..<400 {
      let values = (0..<24).map { 0.7 + stream.normal(at: 24 * sample + $0) }
      covered.student += UnitSample(values).interval().contains(0.7) ? 1 : 0
      covered.bootstrap += bootstrap.interval(of: [values]) { $0[0] }.contains(0.7) ? 1 : 0
    }
    #expect((362...397).contains(covered.student))
    #expect((350...395).contains(covered.bootstrap))
  }
}
