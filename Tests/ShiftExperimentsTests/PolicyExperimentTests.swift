import Adaptation
import AlignmentCore
import PreferenceData
import ShiftExperiments
import Testing

@Suite("Curves of reward against divergence")
struct PolicyCurveTests {
  private let curve = PolicyCurve([
    PolicyPoint(step: 0, divergence: 0, reward: 1), PolicyPoint(step: 5, divergence: 2, reward: 2),
    PolicyPoint(step: 10, divergence: 6, reward: 0), PolicyPoint(step: 15, divergence: 3, reward: 9),
  ])

  @Test func rewardIsLinearBetweenPoints() {
    #expect(curve.reward(atDivergence: 1) == 1.5)
    #expect(curve.reward(atDivergence: 3) == 1.5)
    #expect(curve.reward(atDivergence: 2) == 2)
    #expect(curve.reward(atDivergence: 6) == 0)
  }

  @Test func theFirstCrossingCounts() {
    // A policy that comes back to a divergence of 3 has passed it before.
    #expect(curve.reward(atDivergence: 3) != 9)
  }

  @Test func aPolicyThatDoesNotGetThereCountsAsItEnded() {
    #expect(curve.reward(atDivergence: 7) == 9)
    #expect(!curve.reaches(7))
    #expect(curve.reaches(6))
  }

  @Test func nothingIsInterpolatedAtTheStart() {
    #expect(curve.reward(atDivergence: 0) == 1)
    #expect(PolicyCurve([PolicyPoint(step: 0, divergence: 0, reward: 4)]).reward(atDivergence: 2) == 4)
  }
}

@Suite("Comparisons of methods")
struct ComparisonTests {
  private static let diagnostics = ShiftDiagnostics(
    divergence: 1, paretoShape: 0.5, rawShare: 0.1, meanRatio: 1, exponent: 0.5, auc: 0.7, rawIsRefused: false)

  /// Runs of three methods with a loss and a score.
  private static func runs(_ values: [(uniform: Double, raw: Double, oracle: Double)]) -> [ComparisonRun] {
    values.enumerated().map { seed, value in
      ComparisonRun(
        regime: "near", seed: UInt64(seed), diagnostics: diagnostics,
        outcomes: [
          "uniform": MethodOutcome([value.uniform, -value.uniform]),
          "raw": MethodOutcome([value.raw, -value.raw], effectiveShare: 0.1),
          "oracle": MethodOutcome([value.oracle, -value.oracle]),
        ])
    }
  }

  private static let measures = [Measure("loss", isLoss: true, decimals: 2), Measure("score", decimals: 2)]

  @Test func gainsArePairedAndPositiveWhereTheMethodIsBetter() {
    let comparison = Comparison.all(Self.runs([(1, 1.5, 0.5), (2, 2.5, 1)]), Self.measures)[0]
    for measure in ["loss", "score"] {
      #expect(comparison["raw", measure].gains == [-0.5, -0.5])
      #expect(comparison["oracle", measure].gains == [0.5, 1])
      #expect(comparison.gain(of: "oracle", over: "raw", by: measure).values == [1, 1.5])
    }
    #expect(comparison["raw", "loss"].mean == 2)
  }

  @Test func theShareOfTheGapIsARatioOfMeans() throws {
    // Gaps 0.5, 1, 0.9: their mean is 0.8; gains of −0.4 are a share of −0.5, whatever each seed's own share is.
    let comparison = Comparison.all(Self.runs([(1, 1.4, 0.5), (2, 2.4, 1), (1, 1.4, 0.1)]), Self.measures)[0]
    let recovered = try #require(comparison["raw", "loss"].recovered)
    #expect(abs(recovered.estimate + 0.5) < 1e-12)
    #expect(comparison["oracle", "loss"].recovered == Interval(1, 1, 1))
    #expect(comparison["uniform", "loss"].recovered?.estimate == 0)
  }

  @Test func thereAreNoSharesOfAGapThatMayBeNone() {
    let comparison = Comparison.all(Self.runs([(1, 1.4, 0.5), (1, 1.4, 1.5)]), Self.measures)[0]
    #expect(comparison["raw", "loss"].recovered == nil)
  }

  @Test func pValuesAreAdjustedOverTheMethodsOfAMeasure() {
    let runs = Self.runs([(1, 1.4, 0.5), (2, 2.3, 1), (1, 1.4, 0.1)])
    let comparison = Comparison.all(runs, Self.measures)[0]
    let expected = holmAdjusted(["oracle", "raw"].map { UnitSample(comparison[$0, "loss"].gains).studentP })
    #expect([comparison["oracle", "loss"].p, comparison["raw", "loss"].p] == expected)
    #expect(comparison["uniform", "loss"].p == 1)
  }
}

@Suite("Experiments with language models", .serialized)
struct PolicyExperimentTests {
  /// Models too small to learn much; what is tested are the ways of the numbers.
  ///
  /// Shared by tests that run one after the other.
  private nonisolated(unsafe) static let models: Result<PolicyModels, any Error> = Result {
    var scale = PolicyModels.Scale()
    (scale.hiddenSize, scale.layers) = (16, 1)
    (scale.pretrainingSteps, scale.finetuningSteps) = (6, 3)
    return try PolicyModels(scale)
  }

  private static var scale: PolicyScale {
    var scale = PolicyScale()
    (scale.pairs, scale.testPrompts, scale.candidates) = (60, 4, 8)
    scale.components = [4, 8]
    return scale
  }

  @Test func withoutAShiftAllTrueRatiosAreOne() throws {
    let models = try Self.models.get()
    let trial = try PolicyTrial(PolicyRegime(name: "none", shift: 0), seed: 1, models, Self.scale)
    // Sampling and scoring sum Float32 logits in different orders.
    #expect(try trial.estimate(.exact).logRatios.allSatisfy { abs($0) < 1e-3 })
    #expect(try trial.weights(.exact, .raw).weights.allSatisfy { abs($0 - 1) < 1e-2 })
  }

  @Test func aGeneratorIsAsFarFromTheBaseAsTheShiftSays() throws {
    let models = try Self.models.get()
    let (none, half, whole) = (
      try models.generator(.source, shift: 0), try models.generator(.source, shift: 0.5),
      try models.generator(.source, shift: 1)
    )
    var moved = false
    for i in 0..<models.base.count {
      let (a, b, c) = (none.view.base[i], half.view.base[i], whole.view.base[i])
      #expect(a == models.base.view.base[i])
      #expect(abs(b - (a + c) / 2) < 1e-5)
      moved = moved || a != c
    }
    #expect(moved)
  }

  @Test func everyMethodGivesEachRewardModelItsFigures() throws {
    var experiment = RewardModelExperiment(seeds: [1, 2])
    experiment.scale = Self.scale
    experiment.regimes = [PolicyRegime.all[1]]
    let runs = try experiment.run(Self.models.get())
    #expect(runs.map(\.seed) == [1, 2])
    for method in PolicyMethod.all {
      let values = try #require(runs[0].outcomes[method.name]).values
      #expect(values.count == RewardModelExperiment.measures.count)
      #expect(values.allSatisfy { $0.isFinite })
    }
    #expect(runs[0].outcomes["uniform"] != runs[1].outcomes["uniform"])
    let report = ComparisonReport("shift reward", runs, RewardModelExperiment.measures)
    #expect(PolicyMethod.all.allSatisfy { report.markdown.contains("| \($0.name) |") })
  }

  @Test func policiesMoveAndTheSameSeedGivesTheSameFigures() throws {
    var experiment = PolicyExperiment(seeds: [3])
    experiment.scale = Self.scale
    experiment.regimes = [PolicyRegime.all[1]]
    experiment.methods = [.uniform, .oracle]
    (experiment.training.passes, experiment.training.looks) = (2, 2)
    let (first, second) = (try experiment.run(Self.models.get())[0], try experiment.run(Self.models.get())[0])
    #expect(first.outcomes == second.outcomes)
    let curve = try #require(first.outcomes["uniform"]?.curve)
    #expect(curve.points.map(\.step) == [0, 1, 2])
    // The untrained policy is the reference: its divergence is what rounding leaves.
    #expect(abs(curve.points[0].divergence) < 1e-3)
    #expect(curve.points[2].divergence != curve.points[0].divergence)
    #expect(first.outcomes["uniform"]?.values != first.outcomes["oracle"]?.values)
  }
}

@Suite("Pairs to learn from")
struct PairLessonsTests {
  @Test func labelsAgainstTheFirstResponseExchangeThePair() {
    var lessons = ModelLessons()
    lessons.append(prompt: [1], [[2], [3]], q: 0.25, weight: 2, reference: [-4, -5])
    lessons.append(prompt: [1], [[2], [3]], q: 0.75, weight: 1, reference: [-4, -5])
    #expect(lessons.examples.map { $0.completions.map(\.tokens) } == [[[3], [2]], [[2], [3]]])
    #expect(lessons.labels.map(\.q) == [0.75, 0.75])
    #expect(lessons.labels.map(\.weight) == [2, 1])
    #expect(lessons.reference == [-5, -4, -4, -5])
  }
}
