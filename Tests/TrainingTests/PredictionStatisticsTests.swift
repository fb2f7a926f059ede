import Testing
import Training

@Suite struct PredictionStatisticsTests {
  private typealias Forecast = PredictionStatistics.Forecast
  private typealias Point = PredictionStatistics.Point
  // Sums of a few numbers of ordinary size in Float64.
  static let rounding = 1e-14

  private static let forecasts = [(0.6, 1.0), (0.8, 1), (0.7, 0), (0.9, 1)].map {
    Forecast(confidence: $0.0, outcome: $0.1)
  }

  @Test func calibrationErrorIsTheMeanGapOfTheBins() {
    // Two bins: 0.6 and 0.7, of which half came true, and 0.8 and 0.9, which did.
    let error = PredictionStatistics.expectedCalibrationError(Self.forecasts, bins: 2)
    #expect(abs(error - (0.5 * abs(0.5 - 0.65) + 0.5 * abs(1 - 0.85))) < Self.rounding)
    // Fewer forecasts than bins: each has its own.
    let fine = PredictionStatistics.expectedCalibrationError(Self.forecasts)
    #expect(abs(fine - (0.4 + 0.2 + 0.7 + 0.1) / 4) < Self.rounding)
    #expect(PredictionStatistics.expectedCalibrationError([]).isNaN)
  }

  @Test func thirtyForecastsFillFifteenBinsTwoByTwo() {
    let forecasts = (0..<30).map { Forecast(confidence: 0.5 + Double($0) / 60, outcome: $0 % 3 == 0 ? 0 : 1) }
    let bins = (0..<15).map { bin in
      abs(forecasts[2 * bin...2 * bin + 1].reduce(0) { $0 + $1.outcome - $1.confidence } / 2) / 15
    }
    let error = PredictionStatistics.expectedCalibrationError(forecasts.reversed())
    #expect(abs(error - bins.reduce(0, +)) < Self.rounding)
  }

  @Test func equalConfidencesShareABinWhateverTheirOrder() {
    let outcomes = [(0.6, 1.0), (0.6, 0), (0.6, 1), (0.9, 0)]
    for order in [[0, 1, 2, 3], [3, 1, 0, 2], [1, 2, 3, 0]] {
      let forecasts = order.map { Forecast(confidence: outcomes[$0].0, outcome: outcomes[$0].1) }
      let error = PredictionStatistics.expectedCalibrationError(forecasts, bins: 2)
      #expect(abs(error - (abs(2 - 1.8) + 0.9) / 4) < Self.rounding)
    }
  }

  @Test func aWeightOfTwoCountsTwice() {
    let weighted = Self.forecasts.enumerated().map { index, forecast in
      Forecast(confidence: forecast.confidence, outcome: forecast.outcome, weight: index == 2 ? 2 : 1)
    }
    let twice = Self.forecasts + [Self.forecasts[2]]
    for bins in [1, 2, 3, 15] {
      let (a, b) = (
        PredictionStatistics.expectedCalibrationError(weighted, bins: bins),
        PredictionStatistics.expectedCalibrationError(twice, bins: bins)
      )
      #expect(abs(a - b) < Self.rounding)
    }
    #expect(
      abs(PredictionStatistics.brierScore(weighted) - PredictionStatistics.brierScore(twice)) < Self.rounding)
    let points = [(1.0, 2.0), (2, 1), (4, 5), (3, 3)].map { Point(predicted: $0.0, actual: $0.1) }
    let heavy = points.dropLast() + [Point(predicted: 3, actual: 3, weight: 2)]
    for statistic in [
      PredictionStatistics.meanSquaredError, PredictionStatistics.correlation, PredictionStatistics.rankCorrelation,
    ] {
      #expect(abs(statistic(Array(heavy)) - statistic(points + [points[3]])) < Self.rounding)
    }
  }

  @Test func brierScoreIsTheMeanSquaredGap() {
    let score = PredictionStatistics.brierScore(Self.forecasts)
    #expect(abs(score - (0.16 + 0.04 + 0.49 + 0.01) / 4) < Self.rounding)
  }

  @Test func tiesCountHalfInTheAreaUnderTheCurve() {
    let scores = [(3.0, true), (2, true), (2, true), (2, false), (1, false)].map {
      (score: $0.0, isPositive: $0.1, weight: 1.0)
    }
    // Of six pairs three are wins beyond doubt, two ties, and one more win: 3 beats 2 and 1, each 2 ties 2 and beats 1.
    #expect(abs(PredictionStatistics.areaUnderCurve(scores) - 5 / 6) < Self.rounding)
    let one = PredictionStatistics.areaUnderCurve(scores.filter(\.isPositive))
    #expect(one.isNaN)
    let heavy = scores.map { (score: $0.score, isPositive: $0.isPositive, weight: $0.score == 1 ? 3 : $0.weight) }
    // 3 beats 2 once and 1 three times, each 2 ties once and wins three times: 11 of 12.
    #expect(abs(PredictionStatistics.areaUnderCurve(heavy) - 11 / 12) < Self.rounding)
  }

  @Test func correlations() {
    let points = [(1.0, 1.0), (2, 3), (2, 2), (4, 4)].map { Point(predicted: $0.0, actual: $0.1) }
    // Ranks 0.5, 2, 2, 3.5 and 0.5, 2.5, 1.5, 3.5: 4.5 / √(4.5 · 5).
    #expect(abs(PredictionStatistics.rankCorrelation(points) - 0.9486832980505138) < Self.rounding)
    // Deviations −1.25, −0.25, −0.25, 1.75 and −1.5, 0.5, −0.5, 1.5: 4.5 / √(4.75 · 5).
    #expect(abs(PredictionStatistics.correlation(points) - 0.9233805168766388) < Self.rounding)
    #expect(PredictionStatistics.meanSquaredError(points) == 0.25)
    let flat = points.map { Point(predicted: 1, actual: $0.actual) }
    #expect(PredictionStatistics.correlation(flat).isNaN)
  }
}
