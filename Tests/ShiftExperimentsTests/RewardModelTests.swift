import Kernels
import ShiftExperiments
import Testing

#if canImport(Glibc)
  import Glibc
#endif

@Suite("Linear reward models")
struct RewardModelTests {
  /// 40 rows of 3 features with soft labels and weights; in numpy: i = arange(120).reshape(40, 3);
  /// X = sin(1.3·i) + 0.5·cos(0.7·i²); k = arange(40); q = where(k % 5 == 0, 0.25, sin(2.1·k) > 0); w = 1 + 0.8·cos(k)
  private var rows: ComparisonRows {
    var features = DoubleMatrix(rows: 40, columns: 3)
    features.elements = (0..<120).map { place -> Double in
      let i = Double(place)
      return sin(1.3 * i) + 0.5 * cos(0.7 * i * i)
    }
    let numbers = (0..<40).map { Double($0) }
    let targets = numbers.map { row -> Double in
      if row.truncatingRemainder(dividingBy: 5) == 0 { return 0.25 }
      return sin(2.1 * row) > 0 ? 1 : 0
    }
    return ComparisonRows(features, targets: targets, weights: numbers.map { 1 + 0.8 * cos($0) })
  }

  /// Against `scipy.optimize.minimize(…, method="BFGS")`, polished by Newton steps of numpy, ridge 0.7.
  @Test func fitIsTheMinimumThatScipyFinds() {
    let model = LinearRewardModel(fitting: rows, ridge: 0.7)
    let expected = [-0.04069816298335428, 0.21911106749772946, -0.4587550489678494]
    for (value, reference) in zip(model.coefficients, expected) { #expect(abs(value - reference) < 1e-9) }
  }

  @Test func weightTwoIsTheRowTwice() {
    let once = ComparisonRows(rows.features, targets: rows.targets)
    let twice = ComparisonRows(rows.features, targets: rows.targets, weights: [Double](repeating: 2, count: 40))
    let model = LinearRewardModel(fitting: once + once, ridge: 0.7)
    let weighted = LinearRewardModel(fitting: twice, ridge: 0.7)
    for (a, b) in zip(model.coefficients, weighted.coefficients) { #expect(abs(a - b) < 1e-12) }
  }

  @Test func separableDataEndAtTheRidge() {
    // One row of feature 1, always preferred: the minimum of log(1 + e^−θ) + ½·λ·θ² has λ·θ = σ(−θ).
    var features = DoubleMatrix(rows: 1, columns: 1)
    features.elements = [1]
    let ridge = 1e-4
    let model = LinearRewardModel(fitting: ComparisonRows(features, targets: [1]), ridge: ridge)
    let theta = model.coefficients[0]
    #expect(theta > 5)
    #expect(abs(ridge * theta * (1 + exp(theta)) - 1) < 1e-6)
  }

  @Test func goldRewardIsTheBestScore() {
    let gold = [0.3, -1.2, 2, 0.1]
    let right = RewardEvaluation(gaps: gold, rewardGaps: gold)
    let wrong = RewardEvaluation(gaps: gold.map { -$0 }, rewardGaps: gold)
    let blank = RewardEvaluation(gaps: [0, 0, 0, 0], rewardGaps: gold)
    #expect(right.accuracy == 1 && wrong.accuracy == 0 && blank.accuracy == 0.5)
    #expect(abs(blank.negativeLogLikelihood - log(2)) < 1e-15)
    // The likelihood of Bernoulli labels is best at their own probabilities, where it is their entropy.
    let entropy = gold.map { p in
      let q = 1 / (1 + exp(-p))
      return -q * log(q) - (1 - q) * log(1 - q)
    }
    #expect(abs(right.negativeLogLikelihood - entropy.reduce(0, +) / 4) < 1e-15)
    #expect(wrong.negativeLogLikelihood > blank.negativeLogLikelihood)
  }

  /// Against the mean over all subsets, by itertools.combinations; scores 2 and 2 tie.
  @Test func bestOfNIsTheMeanOverAllSubsets() {
    let result = bestOf(
      [1, 2, 3, 7], scores: [0.3, -1, 2, 2, 0.5, -0.2, 1.1], values: [1, 5, -2, 4, 0, 3, 2])
    for (value, expected) in zip(result, [1.8571428571428572, 1.1428571428571428, 1.0857142857142856, 1]) {
      #expect(abs(value - expected) < 1e-14)
    }
  }
}
