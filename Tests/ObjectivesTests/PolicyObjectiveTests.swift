import AlignmentCore
import Glibc
import Objectives
import Testing

/// Advantages and losses of policy objectives against arithmetic done by hand.
@Suite struct PolicyObjectiveTests {
  /// The golden advantages are given to six decimals.
  static let advantageTolerance = 5e-7

  /// Derivatives are Float32.
  static let singlePrecision = 1e-7

  private func isGolden(_ found: [Double], _ expected: [Double]) -> Bool {
    found.count == expected.count
      && zip(found, expected).allSatisfy { abs($0 - $1) <= Self.advantageTolerance }
  }

  // MARK: Advantages

  @Test(arguments: [("group", 1.224445), ("none", 0.5), ("batch", 1.224445)])
  func grpoComparesWithTheGroup(scaling: String, advantage: Double) throws {
    let rollout = Rollout(rewards: [[1, 0, 0.5, 0.5]])
    let found = try policyObjective("grpo", ["scale_rewards": scaling]).advantages(of: rollout)
    #expect(isGolden(found.advantages, [advantage, -advantage, 0, 0]) && found.returns.isEmpty)
  }

  // Deviations with n − 1: of (1, 0) √½, of (4, 0) √8.
  @Test func grpoScalesByTheGroupOrTheBatch() throws {
    let rollout = Rollout(rewards: [[1, 0], [4, 0]])
    let byGroup = try policyObjective("grpo").advantages(of: rollout).advantages
    let small: Double = 0.5 / (0.707106781 + 1e-4)
    let large: Double = 2 / (2.828427125 + 1e-4)
    #expect(isGolden(byGroup, [small, -small, large, -large]))
    let byBatch = try policyObjective("grpo", ["scale_rewards": "batch"]).advantages(of: rollout).advantages
    // Mean 1.25; squared deviations 0.0625, 1.5625, 7.5625, 1.5625.
    let deviation: Double = (10.75 / 3.0 as Double).squareRoot() + 1e-4
    #expect(isGolden(byBatch, [0.5 / deviation, -0.5 / deviation, 2 / deviation, -2 / deviation]))
  }

  @Test func rlooLeavesTheSampleItselfOut() throws {
    let rollout = Rollout(rewards: [[1, 0, 0.5, 0.5]])
    let found = try policyObjective("rloo").advantages(of: rollout).advantages
    #expect(isGolden(found, [0.666667, -0.666667, 0, 0]))
  }

  // β·Σ(log π_old − log π_ref) = 0.1·(0.5 + 0.5) for the first, 0.1·0.25 for the second.
  @Test func rlooTakesTheDivergenceFromTheReward() throws {
    var rollout = Rollout(rewards: [[1, 0]], lengths: [2, 1])
    rollout.reference = [-1.5, -1.5, -1.25]
    let found = try policyObjective("rloo", ["beta": "0.1"]).advantages(of: rollout).advantages
    #expect(isGolden(found, [0.925, 0.925, -0.925]))
  }

  @Test func gaeOfThreeTokens() throws {
    var rollout = Rollout(rewards: [[1]], lengths: [3])
    rollout.values = [0.1, 0.2, 0.3]
    let found = try policyObjective("ppo", ["gamma": "0.99", "lambda": "0.95"]).advantages(of: rollout)
    let advantages = [0.808407, 0.755350, 0.7]
    // The critic learns advantages as they are; the policy learns them with mean 0 and deviation 1.
    #expect(isGolden(found.returns, zip(advantages, rollout.values).map { $0 + $1 }))
    let mean = advantages.reduce(0, +) / 3
    let variance = advantages.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 3
    for (found, advantage) in zip(found.advantages, advantages) {
      // Numbers of six decimals, divided by a deviation of 0.044.
      #expect(abs(found - (advantage - mean) / variance.squareRoot()) < 5e-5)
    }
  }

  // The second sample must not see the first, nor the first the second.
  @Test func gaeEndsWithTheSample() throws {
    var both = Rollout(rewards: [[1, -2]], lengths: [3, 2])
    both.values = [0.1, 0.2, 0.3, -0.4, 0.5]
    var first = Rollout(rewards: [[1]], lengths: [3])
    first.values = [0.1, 0.2, 0.3]
    var second = Rollout(rewards: [[-2]], lengths: [2])
    second.values = [-0.4, 0.5]
    let objective = try policyObjective("ppo")
    #expect(
      objective.advantages(of: both).returns
        == objective.advantages(of: first).returns + objective.advantages(of: second).returns)
  }

  // λ = 0 is the critic's surprise alone; γ = λ = 1 the sum of rewards to come.
  @Test func gaeAtItsEnds() throws {
    var rollout = Rollout(rewards: [[1]], lengths: [3])
    rollout.values = [0.1, 0.2, 0.3]
    let surprise = try policyObjective("ppo", ["gamma": "0.5", "lambda": "0"]).advantages(of: rollout).returns
    #expect(isGolden(surprise, [0.1, 0.15, 1]))
    let toGo = try policyObjective("ppo", ["gamma": "1", "lambda": "1"]).advantages(of: rollout).returns
    #expect(isGolden(toGo, [1, 1, 1]))
  }

  // Log-ratios 0.3 and −0.2 at κ = 0.5.
  @Test(arguments: [("k1", [-0.15, 1.1]), ("k2", [-0.0225, 0.99]), ("k3", [-0.020409110, 0.989298621])])
  func divergenceIsTakenFromTheRewardsOfTokens(estimator: String, rewards: [Double]) throws {
    var rollout = Rollout(rewards: [[1]], lengths: [2])
    (rollout.reference, rollout.values) = ([-1.3, -0.8], [0, 0])
    let settings = ["kl_coef": "0.5", "kl_estimator": estimator, "gamma": "0"]
    let found = try policyObjective("ppo", settings).advantages(of: rollout).returns
    #expect(isGolden(found, rewards))
    let inLoss = try policyObjective("ppo", settings.merging(["kl_in": "loss"]) { $1 }).advantages(of: rollout).returns
    #expect(inLoss == [0, 1])
  }

  // The reward of the last token is part of its own return: (γ², γ, 1), not (γ, 1, 0).
  @Test func returnsBeginWithTheirOwnReward() throws {
    let rollout = Rollout(rewards: [[1]], lengths: [3])
    let found = try policyObjective("reinforce++", ["gamma": "0.99"]).advantages(of: rollout).advantages
    let returns = [0.9801, 0.99, 1]
    let mean = returns.reduce(0, +) / 3
    let variance = returns.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 3
    for (found, value) in zip(found, returns) {
      #expect(isClose(found, (value - mean) / (variance + 1e-8).squareRoot(), within: 1e-12))
    }
  }

  // Over the whole rollout, samples of all prompts together.
  @Test func whiteningIsGlobal() throws {
    for name in ["reinforce++", "ppo"] {
      var rollout = Rollout(rewards: [[3, -1], [0.5], [8]], lengths: [2, 1, 4, 3])
      rollout.values = Array(repeating: 0, count: 10)
      let found = try policyObjective(name).advantages(of: rollout).advantages
      #expect(abs(found.reduce(0, +)) < 1e-12)
      // The 10⁻⁸ beside a variance above 1.
      #expect(abs(found.reduce(0) { $0 + $1 * $1 } / 10 - 1) < 1e-8)
    }
  }

  // Rewards 0, 2: deviation 1 over two tokens.
  @Test func rewardsMayBeScaledByTheirDeviation() throws {
    var rollout = Rollout(rewards: [[2]], lengths: [2])
    rollout.values = [0, 0]
    let settings = ["whiten_rewards": "yes", "gamma": "0"]
    let found = try policyObjective("ppo", settings).advantages(of: rollout).returns
    #expect(isGolden(found, [0, 2]))
    rollout.rewards = [8]
    #expect(isGolden(try policyObjective("ppo", settings).advantages(of: rollout).returns, [0, 2]))
  }

  // MARK: Losses

  @Test(arguments: ["grpo", "rloo", "reinforce++", "ppo"], [(1.0, -1.2), (-1, 1.349858808)])
  func aTokenIsClippedOnTheSideOfItsAdvantage(name: String, golden: (advantage: Double, loss: Double)) throws {
    let sample = PolicySample.token(logRatio: 0.3, advantage: golden.advantage)
    let result = sample.evaluate(try policyObjective(name))
    #expect(isClose(result.loss.loss, golden.loss, within: goldenTolerance))
    #expect(result.loss.clipped == (golden.advantage > 0 ? 1 : 0))
    #expect(isClose(Double(result.policy[0]), golden.advantage > 0 ? 0 : golden.loss, within: Self.singlePrecision))
    #expect(isClose(result.loss.movement, 0.040818221, within: goldenTolerance))
  }

  // A ratio of 1.8 at a range of one half: bounded at 1.5, not at 2.
  @Test func theClipIsSymmetric() throws {
    let sample = PolicySample.token(logRatio: log(1.8), advantage: 1)
    #expect(isClose(sample.loss(try policyObjective("ppo", ["cliprange": "0.5"])), -1.5))
  }

  @Test func theUpperClipMayBeWider() throws {
    let settings = ["epsilon_high": "0.28", "delta": "1.5"]
    let objective = try policyObjective("grpo", settings)
    #expect(isClose(PolicySample.token(logRatio: 0.3, advantage: 1).loss(objective), -1.28))
    // Two-sided: a bad sample that became likely must not count beyond bounds.
    #expect(isClose(PolicySample.token(logRatio: 1, advantage: -2).loss(objective), 3))
    #expect(PolicySample.token(logRatio: 1, advantage: -2).evaluate(objective).policy == [0])
    #expect(isClose(PolicySample.token(logRatio: -1, advantage: -2).loss(objective), 1.6))
  }

  // e^{r−θ} − (r − θ) − 1 at θ − r = 0.3, weighted with 0.1, beside a ratio of 1.
  @Test func grpoPenalizesTheDivergence() throws {
    var sample = PolicySample.token(logRatio: 0, advantage: 1)
    sample.reference = [-2.3]
    let result = sample.evaluate(try policyObjective("grpo", ["beta": "0.1"]))
    #expect(isClose(result.loss.loss, -1 + 0.1 * 0.040818221, within: goldenTolerance))
    #expect(isClose(result.loss.divergence, 0.040818221, within: goldenTolerance))
    #expect(isClose(Double(result.policy[0]), -1 + 0.1 * (1 - exp(-0.3)), within: Self.singlePrecision))
  }

  @Test func ppoPenalizesTheDivergenceInTheLossIfAsked() throws {
    var sample = PolicySample.token(logRatio: 0, advantage: 1).valued([0], old: [0], returns: [0])
    sample.reference = [-2.3]
    #expect(isClose(sample.loss(try policyObjective("ppo", ["kl_coef": "0.1"])), -1))
    let inLoss = try policyObjective("ppo", ["kl_coef": "0.1", "kl_in": "loss"])
    #expect(isClose(sample.loss(inLoss), -1 + 0.1 * 0.040818221, within: goldenTolerance))
  }

  // (v, v_old, R) and ½·max((v − R)², (clip(v) − R)²) at a range of 0.2.
  @Test(arguments: [
    ([1.0, 0.9, 2.0], 0.5, -1.0),  // within the range
    ([1.0, 0.5, 2.0], 0.845, 0.0),  // moved towards the return: no further gain, ½·1.3²
    ([1.0, 0.5, 0.0], 0.5, 1.0),  // moved away: to be taken back
    ([1.0, 1.5, 0.0], 0.845, 0.0),
  ])
  func valuesAreClipped(value: [Double], loss: Double, slope: Double) throws {
    let sample = PolicySample.token(logRatio: 0, advantage: 0).valued([value[0]], old: [value[1]], returns: [value[2]])
    let result = sample.evaluate(try policyObjective("ppo", ["vf_coef": "0.1"]))
    #expect(isClose(result.loss.valueLoss, 0.1 * loss) && result.loss.loss == result.loss.valueLoss)
    #expect(isClose(Double(result.values[0]), 0.1 * slope, within: Self.singlePrecision))
    let free = sample.loss(try policyObjective("ppo", ["vf_coef": "0.1", "cliprange_value": "0"]))
    #expect(isClose(free, 0.05 * (value[0] - value[2]) * (value[0] - value[2])))
  }

  // MARK: Kinds of GRPO

  @Test func cispoWeighsLogProbabilitiesByABoundedRatio() throws {
    let objective = try policyObjective("grpo", ["loss_type": "cispo"])
    for (logRatio, weight) in [(0.1, exp(0.1)), (0.3, 1.2), (-2, exp(-2))] {
      for advantage in [1.5, -1.5] {
        let result = PolicySample.token(logRatio: logRatio, advantage: advantage).evaluate(objective)
        #expect(isClose(result.loss.loss, -weight * advantage * (-2 + logRatio)))
        #expect(isClose(Double(result.policy[0]), -weight * advantage, within: 2 * Self.singlePrecision))
      }
    }
  }

  @Test func sapoGatesSoftly() throws {
    let objective = try policyObjective("grpo", ["loss_type": "sapo"])
    let excess = exp(0.3) - 1
    #expect(isClose(PolicySample.token(logRatio: 0.3, advantage: 1).loss(objective), -4 * sigma(excess)))
    let bad = PolicySample.token(logRatio: 0.3, advantage: -1).loss(objective)
    #expect(isClose(bad, 4 / 1.05 * sigma(1.05 * excess)))
    // At a ratio of 1 the slope is that of the plain ratio.
    let slope = PolicySample.token(logRatio: 0, advantage: -1).evaluate(objective).policy[0]
    #expect(isClose(Double(slope), 1, within: Self.singlePrecision))
  }

  // Mean log-ratio (0.6 − 0.2) / 2 = 0.2 for both tokens.
  @Test func aSequenceHasTheGeometricMeanOfItsRatios() throws {
    let sample = PolicySample(policy: [-0.4, -2.2], old: [-1, -2], advantages: [-1, -1], samplesPerToken: 0.5)
    let objective = try policyObjective("grpo", ["importance_level": "sequence"])
    #expect(isClose(sample.loss(objective), exp(0.2)))
  }

  // RLOO's samples are single actions: the ratio is of their products, e^{0.4}, clipped at 1.2.
  @Test func aSampleOfRLOOIsOneAction() throws {
    var sample = PolicySample(policy: [-0.4, -2.2], old: [-1, -2], advantages: [-1, -1], samplesPerToken: 0.5)
    let objective = try policyObjective("rloo")
    #expect(isClose(sample.loss(objective), exp(0.4)))
    sample.advantages = [1, 1]
    #expect(isClose(sample.loss(objective), -1.2) && sample.evaluate(objective).policy == [0, 0])
    #expect(sample.evaluate(objective).loss.clipped == 2)
  }

  /// Loss of a batch of samples of 1, 2 and 5 tokens at ratios of 1 with these advantages.
  private func batchLoss(_ objective: any PolicyObjective) -> Double {
    let batch = [(1, 1.0), (2, -0.5), (5, 2.0)]
    let tokens = batch.reduce(0) { $0 + $1.0 }
    return batch.reduce(0) { sum, sample in
      let numbers = [Double](repeating: -1, count: sample.0)
      return sum
        + PolicySample(
          policy: numbers, old: numbers, advantages: numbers.map { _ in sample.1 },
          samplesPerToken: Double(batch.count) / Double(tokens), maximumLength: 16
        ).loss(objective)
    } / Double(batch.count)
  }

  // −A summed over tokens: −1, +1, −10. SAPO's gate is 4·σ(0) / τ = 2 / τ at a ratio of 1; CISPO has log π = −1 beside −A.
  @Test func tokensAreAveragedAsThePapersSay() throws {
    let sapo: Double = 2 * (-1 + 0.5 / 1.05 - 2) / 3
    let losses: [(kind: String, loss: Double)] = [
      ("dapo", -10.0 / 8), ("grpo", -2.5 / 3), ("dr_grpo", -10.0 / 48), ("luspo", -10.0 / 3), ("sapo", sapo),
      ("cispo", 10.0 / 8),
    ]
    #expect(losses.count == GRPO.Kind.allCases.count)
    for (kind, loss) in losses {
      #expect(isClose(batchLoss(try policyObjective("grpo", ["loss_type": kind])), loss), "\(kind)")
    }
  }

  @Test(arguments: ["ppo", "reinforce++"])
  func othersAverageOverTheBatchsTokens(name: String) throws {
    #expect(isClose(batchLoss(try policyObjective(name)), -10.0 / 8))
  }

  @Test func rlooAveragesOverSamples() throws {
    #expect(isClose(batchLoss(try policyObjective("rloo")), -2.5 / 3))
  }

  // MARK: Registry

  @Test func optionsOfOthersAreLeftAsideAndUnknownOnesAreNot() throws {
    _ = try policyObjective("ppo", ["beta": "0.3", "scale_rewards": "none"])
    let message = fault { _ = try policyObjective("grpo", ["bta": "0.3"]) }
    #expect("\(try #require(message))".contains("bta"))
    let outOfRange = fault { _ = try policyObjective("grpo", ["epsilon": "2"]) }
    #expect("\(try #require(outOfRange))".contains("epsilon"))
  }

  @Test func whatTheyNeed() throws {
    for (name, settings, reference, values, fewest) in [
      ("grpo", [:], false, false, 2), ("grpo", ["beta": "0.1"], true, false, 2), ("rloo", [:], true, false, 2),
      ("rloo", ["beta": "0"], false, false, 2), ("reinforce++", [:], true, false, 1), ("ppo", [:], true, true, 1),
      ("ppo", ["kl_coef": "0"], false, true, 1),
    ] as [(String, [String: String], Bool, Bool, Int)] {
      let objective = try policyObjective(name, settings)
      #expect(objective.needsReference == reference && objective.needsValues == values)
      #expect(objective.fewestSamples == fewest)
    }
  }
}
