import Glibc
import Objectives
import Testing

/// Supervised objectives on a completion of five tokens with log-probability −10.
@Suite struct LikelihoodTests {
  static func completion(isDesirable: Bool = true, softLabel: Double = 1) -> ObjectiveGroup {
    var group = single((-10, 0, 5), isDesirable: isDesirable, softLabel: softLabel)
    group.examplesPerToken = 0.25
    return group
  }

  // 10·0.25, 10/5 and 10
  @Test(arguments: ["sft", "csft"], [("tokens", 0.25), ("sequences", 0.2), ("sum", 1)])
  func likelihoodsAreAveraged(name: String, average: (name: String, factor: Double)) throws {
    let loss = try objective(name, ["average": average.name]).loss(of: Self.completion())
    #expect(isClose(loss.value, 10 * average.factor) && isClose(loss.derivatives[0], -average.factor))
  }

  // Σ over the batch of 10·(2/12) and 6·(2/12), divided by 2 examples: 16/12.
  @Test func theTokenMeanIsThatOfTheBatch() throws {
    var batch = [single((-10, 0, 5)), single((-6, 0, 7))]
    for index in batch.indices { batch[index].examplesPerToken = 2.0 / 12 }
    let sft = try objective("sft")
    #expect(isClose(batch.reduce(0) { $0 + sft.loss(of: $1).value } / 2, 16.0 / 12))
  }

  @Test func nothingIsLearnedFromBadCompletions() throws {
    let sft = try objective("sft")
    #expect(sft.loss(of: Self.completion(isDesirable: false)) == Dual(0))
    // Good with probability 0.3, whatever the label says.
    let expected = Dual(0.3 * 2.5, derivatives: [-0.3 * 0.25, 0])
    for group in [Self.completion(softLabel: 0.3), Self.completion(isDesirable: false, softLabel: 0.7)] {
      let loss = sft.loss(of: group)
      #expect(isClose(loss.value, expected.value) && isClose(loss.derivatives[0], expected.derivatives[0]))
    }
  }

  @Test func conditionedOnItsLabelABadCompletionIsLearnedToo() throws {
    #expect(try objective("csft").loss(of: Self.completion(isDesirable: false)).value == 2.5)
  }

  @Test func theRewardIsTheLogProbability() throws {
    for name in ["sft", "csft"] {
      #expect(try objective(name).reward(ScoredCompletion(policy: -3, reference: -1, tokens: 2)) == -3)
    }
  }
}

/// KTO on log-ratios 1 (desirable) and −0.5 (undesirable), β = 0.1.
@Suite struct KTOTests {
  static let desirable = single((-10, -11, 5))
  static let undesirable = single((-12, -11.5, 8), isDesirable: false)

  // Other prompts' completions, of log-ratios 1, 0.5 and −0.3: mean 0.4.
  static let mismatched = [(1.0, -3.0), (0.5, -2), (-0.3, -9)].map { single(($0.0 + $0.1, $0.1, 3)) }

  // 1 − σ(0.1·(1 − z₀)) and 1 − σ(0.1·(z₀ + 0.5))
  @Test func withoutDivergenceTheReferencePointIsZero() throws {
    let kto = try objective("kto")
    let good = kto.loss(of: Self.desirable)
    #expect(abs(good.value - 0.475020813) < goldenTolerance && isClose(good.value, 1 - sigma(0.1)))
    #expect(isClose(good.derivatives[0], -0.1 * sigma(0.1) * sigma(-0.1)))
    let bad = kto.loss(of: Self.undesirable)
    #expect(abs(bad.value - 0.487502604) < goldenTolerance && isClose(bad.value, 1 - sigma(0.05)))
    #expect(isClose(bad.derivatives[0], 0.1 * sigma(0.05) * sigma(-0.05)))
  }

  @Test func theReferencePointIsTheMeanOverMismatchedCompletions() throws {
    var kto = try objective("kto")
    #expect(kto.traits.survey == .mismatched)
    kto.prepare(for: Self.mismatched)
    #expect(kto.metrics.map(\.name) == ["kl"] && isClose(kto.metrics[0].value, 0.4))
    let (good, bad) = (kto.loss(of: Self.desirable), kto.loss(of: Self.undesirable))
    #expect(abs(good.value - 0.485004498) < goldenTolerance && isClose(good.value, 1 - sigma(0.06)))
    #expect(abs(bad.value - 0.477515175) < goldenTolerance && isClose(bad.value, 1 - sigma(0.09)))
    #expect(isClose(good.derivatives[0], -0.1 * sigma(0.06) * sigma(-0.06)))
    #expect(isClose(bad.derivatives[0], 0.1 * sigma(0.09) * sigma(-0.09)))
  }

  // Ranks with log-ratios {0.2, −0.1} and {0.6, 0}: the mean over all is 0.175, zeros counted.
  @Test func zerosCount() throws {
    var kto = try objective("kto")
    kto.prepare(for: [0.2, -0.1, 0.6, 0].map { single(($0, 0, 1)) })
    #expect(isClose(kto.metrics[0].value, 0.175))
  }

  @Test func theReferencePointIsNotNegative() throws {
    var kto = try objective("kto")
    kto.prepare(for: [single((-3, -2, 1))])
    #expect(kto.metrics[0].value == 0)
    kto.prepare(for: Self.mismatched)
    kto.prepare(for: [])
    #expect(kto.metrics[0].value == 0, "an earlier batch's must be forgotten")
  }

  @Test func aReferencePointThatIsNotANumberShows() throws {
    var kto = try objective("kto")
    kto.prepare(for: [single((.nan, 0, 1))])
    #expect(kto.loss(of: Self.desirable).value.isNaN)
  }

  // Desirable ones are compared with the mean of the undesirable, and the other way round: the batch has desirable
  // log-ratios 1 and 0.2 (mean 0.6), undesirable −0.5 and 1.3 (mean 0.4).
  @Test func theOtherLabelCanBeTheReferencePoint() throws {
    var kto = try objective("kto", ["kl": "opposite"])
    #expect(kto.traits.survey == .own && kto.metrics.isEmpty)
    kto.prepare(for: [
      Self.desirable, Self.undesirable, single((0.2, 0, 1)), single((1.3, 0, 1), isDesirable: false),
    ])
    #expect(isClose(kto.loss(of: Self.desirable).value, 1 - sigma(0.1 * (1 - 0.4))))
    #expect(isClose(kto.loss(of: Self.undesirable).value, 1 - sigma(0.1 * (0.6 + 0.5))))
  }

  @Test func theReferencePointCanBeFixedAtZero() throws {
    var kto = try objective("kto", ["kl": "zero"])
    #expect(kto.traits.survey == .none && kto.metrics.isEmpty)
    kto.prepare(for: Self.mismatched)
    #expect(isClose(kto.loss(of: Self.desirable).value, 1 - sigma(0.1)))
  }

  @Test func labelsHaveWeights() throws {
    let kto = try objective("kto", ["desirable_weight": "1.5", "undesirable_weight": "0.25"])
    #expect(isClose(kto.loss(of: Self.desirable).value, 1.5 * (1 - sigma(0.1))))
    #expect(isClose(kto.loss(of: Self.undesirable).value, 0.25 * (1 - sigma(0.05))))
    // A soft label takes its share of both.
    let mixed = kto.loss(of: single((-10, -11, 5), softLabel: 0.9))
    #expect(isClose(mixed.value, 0.9 * 1.5 * (1 - sigma(0.1)) + 0.1 * 0.25 * sigma(0.1)))
  }

  @Test func theRewardIsBetaTimesTheLogRatio() throws {
    #expect(isClose(try objective("kto", ["beta": "0.3"]).reward(Self.undesirable.completions[0]), -0.15))
  }
}

@Suite struct BCOTests {
  // With a mean reward of 0.02: −log σ(0.1 − 0.02) and −log σ(−(−0.05 − 0.02)).
  @Test func rewardsAreShiftedByTheirMean() throws {
    var bco = try objective("bco")
    bco.state = [0.06, 3]
    let good = bco.loss(of: KTOTests.desirable)
    #expect(abs(good.value - 0.653946967) < goldenTolerance && isClose(good.value, logOnePlusExp(-0.08)))
    #expect(isClose(good.derivatives[0], -0.1 * sigma(-0.08)))
    let bad = bco.loss(of: KTOTests.undesirable)
    #expect(abs(bad.value - 0.658759556) < goldenTolerance && isClose(bad.value, logOnePlusExp(-0.07)))
    #expect(isClose(bad.derivatives[0], 0.1 * sigma(-0.07)))
    #expect(bco.metrics.map(\.name) == ["rewards/shift"] && isClose(bco.metrics[0].value, 0.02))
  }

  // Rewards 0.1 (weight 2) and −0.05 (weight 1), then 0.1 once more: 0.15/3, then 0.25/4.
  @Test func theMeanIsOverAllStepsAndWeighted() throws {
    var bco = try objective("bco")
    #expect(bco.metrics[0].value == 0)
    var heavy = KTOTests.desirable
    heavy.weight = 2
    bco.observe([heavy, KTOTests.undesirable])
    #expect(isClose(bco.metrics[0].value, 0.05))
    bco.observe([KTOTests.desirable])
    #expect(isClose(bco.metrics[0].value, 0.0625))
    var resumed = try objective("bco")
    resumed.state = bco.state
    #expect(resumed.loss(of: heavy) == bco.loss(of: heavy))
  }
}

/// Reward models, on scores 1.3 and 0.4.
@Suite struct RewardObjectiveTests {
  static let scores = pair((1.3, 0, 9), (0.4, 0, 4))

  @Test func bradleyTerryByHand() throws {
    let loss = try objective("bradley_terry").loss(of: Self.scores)
    #expect(abs(loss.value - 0.341153875) < goldenTolerance && isClose(loss.value, logOnePlusExp(-0.9)))
    #expect(isClose(loss.derivatives[0], -sigma(-0.9)) && isClose(loss.derivatives[1], sigma(-0.9)))
  }

  // −log σ(0.9 − 0.5)
  @Test func theMarginOfTheRowIsAimedAt() throws {
    var group = Self.scores
    group.margin = 0.5
    let loss = try objective("bradley_terry").loss(of: group)
    #expect(abs(loss.value - 0.513015252) < goldenTolerance && isClose(loss.value, logOnePlusExp(-0.4)))
    // If the label is wrong, the other completion is better by that margin: −log σ(−0.9 + 0.5).
    group.softLabel = 0
    #expect(isClose(try objective("bradley_terry").loss(of: group).value, logOnePlusExp(0.4)))
  }

  // 0.01·(1.3 + 0.4)² = 0.0289
  @Test func scoresAreHeldAtTheCentre() throws {
    let plain = try objective("bradley_terry").loss(of: Self.scores)
    let centred = try objective("bradley_terry", ["centering": "0.01"]).loss(of: Self.scores)
    #expect(abs(centred.value - plain.value - 0.0289) < goldenTolerance)
    #expect(isClose(centred.derivatives[0] - plain.derivatives[0], 0.02 * 1.7))
    #expect(isClose(centred.derivatives[1] - plain.derivatives[1], 0.02 * 1.7))
  }

  // 0.8·log(1 + e^−0.9) + 0.2·log(1 + e^0.9)
  @Test func labelsAreSmoothed() throws {
    let loss = try objective("bradley_terry", ["label_smoothing": "0.2"]).loss(of: Self.scores)
    #expect(isClose(loss.value, 0.8 * logOnePlusExp(-0.9) + 0.2 * logOnePlusExp(0.9)))
  }

  // (1.3 − 0.5)²
  @Test func regressionIsTheSquaredError() throws {
    var group = single((1.3, 0, 9))
    group.margin = 0.5
    let loss = try objective("regression").loss(of: group)
    #expect(isClose(loss.value, 0.64) && isClose(loss.derivatives[0], 1.6))
  }

  // −log σ(1.3) and −log σ(−1.3)
  @Test func classificationIsTheCrossEntropy() throws {
    let classification = try objective("classification")
    let good = classification.loss(of: single((1.3, 0, 9)))
    let bad = classification.loss(of: single((1.3, 0, 9), isDesirable: false))
    #expect(isClose(good.value, logOnePlusExp(-1.3)) && isClose(good.derivatives[0], -sigma(-1.3)))
    #expect(isClose(bad.value, logOnePlusExp(1.3)) && isClose(bad.derivatives[0], sigma(1.3)))
  }

  @Test(arguments: ["bradley_terry", "regression", "classification"])
  func theRewardIsTheScore(name: String) throws {
    let objective = try objective(name)
    #expect(objective.reward(Self.scores.completions[1]) == 0.4)
    #expect(objective.traits.output == .score && !objective.traits.needsReference)
  }
}
