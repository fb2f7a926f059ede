import Foundation
import Testing
import Training

@Suite struct PairForecastsTests {
  private typealias Pair = PairForecasts.Pair
  // Sums of a few numbers of ordinary size in Float64.
  static let rounding = 1e-14

  private static func sigma(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

  @Test func likelihoodOfHardAndSoftLabels() {
    let forecasts = PairForecasts([
      Pair(difference: 2, weight: 3), Pair(difference: -1), Pair(difference: 0.5, softLabel: 0.8),
    ])
    let soft = 0.8 * log1p(exp(-0.5)) + 0.2 * log1p(exp(0.5))
    let expected = (3 * log1p(exp(-2)) + log1p(exp(1)) + soft) / 5
    #expect(abs(forecasts.negativeLogLikelihood() - expected) < Self.rounding)
    let cooled = (3 * log1p(exp(-1)) + log1p(exp(0.5)) + 0.8 * log1p(exp(-0.25)) + 0.2 * log1p(exp(0.25))) / 5
    #expect(abs(forecasts.negativeLogLikelihood(temperature: 2) - cooled) < Self.rounding)
    #expect(forecasts.accuracy == 0.8)
  }

  @Test func confidenceIsInThePredictedSide() {
    let forecasts = PairForecasts([Pair(difference: 2), Pair(difference: -1), Pair(difference: 0)])
    // Sides predicted with σ(2), σ(1) and 1/2 are right, wrong, and half right.
    let error = ((1 - Self.sigma(2)) + Self.sigma(1) + 0) / 3
    #expect(abs(forecasts.expectedCalibrationError() - error) < Self.rounding)
    let brier = (pow(1 - Self.sigma(2), 2) + pow(1 - Self.sigma(-1), 2) + 0.25) / 3
    #expect(abs(forecasts.brierScore() - brier) < Self.rounding)
  }

  @Test(arguments: [0.01, 0.5, 1, 2.5, 300])
  func findsTheTemperatureThatLabelsWereMadeWith(temperature: Double) throws {
    let differences = [0.1, 0.7, -0.3, 1.9, 2.6, -1.1, 0.05]
    let soft = differences.map { Pair(difference: $0, softLabel: Self.sigma($0 / temperature)) }
    // The same with hard labels, each as often as its probability says.
    let hard = differences.flatMap { d in
      [
        Pair(difference: d, weight: Self.sigma(d / temperature)),
        Pair(difference: -d, weight: Self.sigma(-d / temperature)),
      ]
    }
    for pairs in [soft, hard] {
      let forecasts = PairForecasts(pairs)
      let found = try forecasts.temperature()
      // The likelihood is flat at its minimum: √ε of its curvature is hidden to its slope where σ is close to 1 or 1/2.
      #expect(abs(found / temperature - 1) < 1e-9)
      let least = forecasts.negativeLogLikelihood(temperature: found)
      for other in [0.9, 0.99, 1.01, 1.1] {
        #expect(forecasts.negativeLogLikelihood(temperature: found * other) > least)
      }
    }
  }

  @Test(arguments: [1e-12, 1e12])
  func temperatureScalesWithTheScores(factor: Double) throws {
    let differences = [1.0, 2, 3, -0.5]
    let found = try PairForecasts(differences.map { Pair(difference: $0) }).temperature()
    let scaled = try PairForecasts(differences.map { Pair(difference: factor * $0) }).temperature()
    #expect(abs(scaled / (factor * found) - 1) < 1e-12)
  }

  @Test func refusesWhatNoTemperatureFits() {
    let unfit = { (differences: [Double]) in
      #expect(throws: PairForecasts.Unfit.self) {
        try PairForecasts(differences.map { Pair(difference: $0) }).temperature()
      }
    }
    #expect(unfit([1, 2, 0.001]) == .separable)
    #expect(unfit([1, 2, 0]) == .separable)
    #expect(unfit([-1, -2]) == .uninformative)
    #expect(unfit([1, -1]) == .uninformative)
    #expect(unfit([0, 0]) == .uninformative)
    #expect(unfit([]) == .uninformative)
    // A single wrong pair of no weight leaves the rest separable.
    let pairs = [Pair(difference: 1), Pair(difference: -1, weight: 0)]
    #expect(throws: PairForecasts.Unfit.separable) { try PairForecasts(pairs).temperature() }
    // Labels that are surely right only half of the time have no temperature either.
    #expect(throws: PairForecasts.Unfit.uninformative) {
      try PairForecasts([Pair(difference: 3, softLabel: 0.5)]).temperature()
    }
  }
}

@Suite struct ComparisonTests {
  @Test func winRateCountsTiesHalfAndPromptsAlike() throws {
    let wins = WinRate([(policy: [1, 2], opponent: [0, 2]), ([0], [1]), ([3], [3])])
    // 2.5 of 4, 0 of 1, 0.5 of 1; their standard deviation √(0.21875/2), over √3.
    #expect(abs(wins.rate - 0.375) < 1e-15)
    let reach = 1.959963984540054 * (0.21875 / 2 / 3).squareRoot()
    let interval = try #require(wins.interval)
    #expect(abs(interval.lowerBound - (0.375 - reach)) < 1e-15)
    #expect(abs(interval.upperBound - (0.375 + reach)) < 1e-15)
    #expect(abs(wins.ties - 1.25 / 3) < 1e-15)
  }

  @Test func aPolicyAgainstItselfWinsHalf() {
    let wins = WinRate([(policy: [1, 5, 2], opponent: [1, 5, 2]), ([0, 0, 1], [0, 0, 1])])
    #expect(wins.rate == 0.5 && wins.interval == 0.5...0.5)
    #expect(WinRate([(policy: [1], opponent: [0])]).interval == nil)
    let sure = WinRate([(policy: [1], opponent: [0]), ([1], [0]), ([1], [1])])
    #expect(sure.interval?.upperBound == 1)
  }

  @Test func scoresOfSeveralModels() {
    let scores = [1.0, 2, 6]
    #expect(ScoreCombination.mean.value(of: scores) == 3)
    #expect(ScoreCombination.minimum.value(of: scores) == 1)
    // Deviations −2, −1, 3: √(14/3).
    let bound = ScoreCombination.lowerBound(lambda: 0.5).value(of: scores)
    #expect(abs(bound - (3 - 0.5 * (14.0 / 3).squareRoot())) < 1e-15)
    #expect(ScoreCombination.lowerBound(lambda: 2).value(of: [4, 4]) == 4)
  }
}
