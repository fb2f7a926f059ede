import Glibc
import Objectives
import Testing

/// What an objective says of a group, computed by hand.
struct HandComputed: Sendable, CustomTestStringConvertible {
  let name: String
  var settings: [String: String] = [:]
  var group = goldenPair
  let loss: Double
  /// With respect to the log-probabilities of the completions.
  let derivatives: SIMD2<Double>
  /// Implicit reward of the first completion.
  let reward: Double
  /// The loss as others computed it, to nine decimals.
  var golden: Double?

  var testDescription: String { "\(name) \(settings)" }

  func check() throws {
    let objective = try ObjectiveRegistry.make(name, settings: settings)
    let found = objective.loss(of: group)
    #expect(isClose(found.value, loss), "loss \(found.value), not \(loss)")
    #expect(isClose(found.derivatives[0], derivatives[0]), "derivative \(found.derivatives[0]), not \(derivatives[0])")
    #expect(isClose(found.derivatives[1], derivatives[1]), "derivative \(found.derivatives[1]), not \(derivatives[1])")
    #expect(isClose(objective.reward(group.completions[0]), reward))
    if let golden { #expect(abs(found.value - golden) < goldenTolerance) }
  }
}

/// Objectives on pairs with a reference, on log-ratios c = 1 and r = −0.5 (Δ = 1.5) of 5 and 8 tokens, with β = τ = 0.1.
@Suite struct PairObjectiveTests {
  @Test(arguments: logisticOnTheDifference + bounded + squared + oneByOne)
  func byHand(_ expected: HandComputed) throws { try expected.check() }

  // z = 0.1 · 1.5 = 0.15
  static let s = sigma(0.15)

  static let logisticOnTheDifference = [
    // log(1 + e^−0.15), slope −σ(−0.15) in z
    HandComputed(
      name: "dpo", loss: logOnePlusExp(-0.15), derivatives: [-0.1 * (1 - s), 0.1 * (1 - s)], reward: 0.1,
      golden: 0.620957048),
    // 0.8·log(1 + e^−0.15) + 0.2·log(1 + e^0.15), slope σ(0.15) − 0.8
    HandComputed(
      name: "dpo", settings: ["label_smoothing": "0.2"], loss: 0.8 * logOnePlusExp(-0.15) + 0.2 * logOnePlusExp(0.15),
      derivatives: [0.1 * (s - 0.8), -0.1 * (s - 0.8)], reward: 0.1, golden: 0.650957048),
    // (0.9·log(1 + e^−0.15) − 0.1·log(1 + e^0.15)) / 0.8, slope (−0.9·σ(−0.15) − 0.1·σ(0.15)) / 0.8
    HandComputed(
      name: "robust", settings: ["label_smoothing": "0.1"],
      loss: (0.9 * logOnePlusExp(-0.15) - 0.1 * logOnePlusExp(0.15)) / 0.8,
      derivatives: [0.1 * (-0.9 * (1 - s) - 0.1 * s) / 0.8, 0.1 * (0.9 * (1 - s) + 0.1 * s) / 0.8], reward: 0.1,
      golden: 0.602207048),
    // z = 0.1·(1/5 + 0.5/8) = 0.02625
    HandComputed(
      name: "sigmoid_norm", loss: logOnePlusExp(-0.02625),
      derivatives: [-0.1 / 5 * sigma(-0.02625), 0.1 / 8 * sigma(-0.02625)], reward: 0.02, golden: 0.680108311),
    // KL of (s, 1 − s) from (0.999, 0.001); slope s·(1 − s)·(0.15 + log(0.001/0.999))
    HandComputed(
      name: "exo", loss: s * log(s / 0.999) + (1 - s) * log((1 - s) / 0.001),
      derivatives: [0.1 * s * (1 - s) * (0.15 - log(999)), -0.1 * s * (1 - s) * (0.15 - log(999))], reward: 0.1,
      golden: 2.505516555),
    // m = σ(0.15/0.05) = σ(3): (1 − m)·log(1 + e^−0.15) + m·e^−0.15
    HandComputed(
      name: "discopop", loss: (1 - sigma(3)) * logOnePlusExp(-0.15) + sigma(3) * exp(-0.15),
      derivatives: [0.1 * discopopSlope, -0.1 * discopopSlope], reward: 0.1, golden: 0.849337579),
  ]

  // m′ = m·(1 − m)/0.05; m′·(e^−0.15 − log(1 + e^−0.15)) − (1 − m)·σ(−0.15) − m·e^−0.15
  static let discopopSlope =
    20 * sigma(3) * sigma(-3) * (exp(-0.15) - logOnePlusExp(-0.15)) - sigma(-3) * (1 - s) - sigma(3) * exp(-0.15)

  static let bounded = [
    // 1 − 0.15
    HandComputed(name: "hinge", loss: 0.85, derivatives: [-0.1, 0.1], reward: 0.1, golden: 0.85),
    // 1 − 1·1.5 < 0
    HandComputed(name: "hinge", settings: ["beta": "1"], loss: 0, derivatives: [0, 0], reward: 1),
    // 1 − σ(0.1) + σ(−0.05)
    HandComputed(
      name: "apo_zero", loss: 1 - sigma(0.1) + sigma(-0.05),
      derivatives: [-0.1 * sigma(0.1) * sigma(-0.1), 0.1 * sigma(0.05) * sigma(-0.05)], reward: 0.1,
      golden: 0.962523416),
    // σ(0.1) + 1 − σ(0.15)
    HandComputed(
      name: "apo_down", loss: sigma(0.1) + 1 - s,
      derivatives: [0.1 * (sigma(0.1) * sigma(-0.1) - s * (1 - s)), 0.1 * s * (1 - s)], reward: 0.1,
      golden: 0.987549342),
  ]

  static let squared = [
    // (1/5 + 0.5/8 − 5)² = 4.7375²
    HandComputed(
      name: "ipo", loss: 4.7375 * 4.7375, derivatives: [-2 * 4.7375 / 5, 2 * 4.7375 / 8], reward: 0.02,
      golden: 22.44390625),
    // (1.5 − 5)²
    HandComputed(
      name: "ipo", settings: ["ipo_average": "sum"], loss: 12.25, derivatives: [-7, 7], reward: 0.1, golden: 12.25),
    // (1 − 5)² + (−0.5 + 5)²
    HandComputed(name: "sppo", loss: 36.25, derivatives: [-8, 9], reward: 0.1, golden: 36.25),
  ]

  static let oneByOne = [
    // −log σ(0.1) − ½·log σ(−0.1) − ½·log σ(0.05)
    HandComputed(
      name: "nca", loss: logOnePlusExp(-0.1) + 0.5 * logOnePlusExp(0.1) + 0.5 * logOnePlusExp(-0.05),
      derivatives: [0.1 * (0.5 * sigma(0.1) - sigma(-0.1)), 0.05 * sigma(-0.05)], reward: 0.1, golden: 1.350824814),
    // −log σ(0.1) − log σ(0.05)
    HandComputed(
      name: "bco_pair", loss: logOnePlusExp(-0.1) + logOnePlusExp(-0.05),
      derivatives: [-0.1 * sigma(-0.1), 0.1 * sigma(-0.05)], reward: 0.1, golden: 1.312856308),
  ]

  @Test func withoutPreferenceTheLossIsLogTwo() throws {
    for name in ["dpo", "robust", "sigmoid_norm"] {
      let loss = try objective(name).loss(of: pair((-3, -4, 2), (-9, -10, 2)))
      #expect(isClose(loss.value, log(2)))
    }
  }

  // Without reference −10 and −12 stand for c and r: 1 − 0.1·2.
  @Test func hingeCanDoWithoutReference() throws {
    let hinge = try objective("hinge", ["reference_free": "yes"])
    #expect(!hinge.traits.needsReference)
    let loss = hinge.loss(of: pair((-10, 0, 5), (-12, 0, 8)))
    #expect(isClose(loss.value, 0.8) && loss.derivatives == [-0.1, 0.1])
  }
}

/// Objectives on pairs without reference: log-probabilities −10 and −12, per token −2 and −1.5.
@Suite struct ReferenceFreeObjectiveTests {
  @Test(arguments: contrasts + likelihoods)
  func byHand(_ expected: HandComputed) throws { try expected.check() }

  static let contrasts = [
    // HALOs: β = 10, γ/β = 0.3: z = 10·(−2 + 1.5) − 3 = −8
    HandComputed(
      name: "simpo", settings: ["beta": "10", "gamma": "3"], loss: logOnePlusExp(8),
      derivatives: [-10.0 / 5 * sigma(8), 10.0 / 8 * sigma(8)], reward: -20, golden: 8.000335406),
    // TRL: β = 0.1, γ = 0.5: z = 0.1·(−0.5) − 0.5 = −0.55
    HandComputed(
      name: "simpo", settings: ["beta": "0.1", "gamma": "0.5"], loss: logOnePlusExp(0.55),
      derivatives: [-0.1 / 5 * sigma(0.55), 0.1 / 8 * sigma(0.55)], reward: -0.2, golden: 1.005492481),
    // max(0, 1 + 10 − 12) + 0.1·10
    HandComputed(name: "slic", loss: 1, derivatives: [-0.1, 0], reward: -10, golden: 1),
    // max(0, 5 + 10 − 12) + 0.1·10
    HandComputed(name: "slic", settings: ["delta": "5"], loss: 4, derivatives: [-1.1, 1], reward: -10),
    // z = 0.1·(−10 + 12) = 0.2
    HandComputed(
      name: "cpo", settings: ["alpha": "0"], loss: logOnePlusExp(-0.2),
      derivatives: [-0.1 * sigma(-0.2), 0.1 * sigma(-0.2)],
      reward: -1, golden: 0.598138869),
  ]

  // A batch of one example in four tokens: the likelihood counts 10/4 as a token mean.
  static let batch = {
    var group = goldenPair
    group.examplesPerToken = 0.25
    return group
  }()

  // The log-odds: (−2 + 1.5) − log(1 − e^−2) + log(1 − e^−1.5) = −0.607069001
  static let logOdds = -0.5 - log(1 - exp(-2)) + log(1 - exp(-1.5))
  // −0.1·log σ of it; ∂o/∂a = 1/(1 − eᵃ)
  static let oddsLoss = 0.1 * logOnePlusExp(-logOdds)
  static let oddsDerivatives: SIMD2<Double> = [
    -0.1 * sigma(-logOdds) / (1 - exp(-2)) / 5, 0.1 * sigma(-logOdds) / (1 - exp(-1.5)) / 8,
  ]

  static let likelihoods = [
    HandComputed(
      name: "orpo", group: batch, loss: 2.5 + oddsLoss, derivatives: oddsDerivatives - [0.25, 0], reward: -0.2,
      golden: 2.5 + 0.104205781),
    HandComputed(
      name: "orpo", settings: ["average": "sequences"], group: batch, loss: 2 + oddsLoss,
      derivatives: oddsDerivatives - [0.2, 0], reward: -0.2, golden: 2 + 0.104205781),
    HandComputed(
      name: "orpo", settings: ["average": "sum"], group: batch, loss: 10 + oddsLoss,
      derivatives: oddsDerivatives - [1, 0], reward: -0.2, golden: 10 + 0.104205781),
    // β multiplies the odds term only.
    HandComputed(
      name: "orpo", settings: ["beta": "0"], group: batch, loss: 2.5, derivatives: [-0.25, 0], reward: 0),
    HandComputed(
      name: "cpo", group: batch, loss: logOnePlusExp(-0.2) + 2.5,
      derivatives: [-0.1 * sigma(-0.2) - 0.25, 0.1 * sigma(-0.2)], reward: -1, golden: 0.598138869 + 2.5),
    HandComputed(
      name: "cpo", settings: ["average": "sequences", "alpha": "0.5"], group: batch, loss: logOnePlusExp(-0.2) + 1,
      derivatives: [-0.1 * sigma(-0.2) - 0.1, 0.1 * sigma(-0.2)], reward: -1),
    // Smoothing is of the preference, not of what is imitated: 0.8·log(1 + e^−0.2) + 0.2·log(1 + e^0.2) + 10
    HandComputed(
      name: "cpo", settings: ["average": "sum", "label_smoothing": "0.2"], group: batch,
      loss: 0.8 * logOnePlusExp(-0.2) + 0.2 * logOnePlusExp(0.2) + 10,
      derivatives: [0.1 * (sigma(0.2) - 0.8) - 1, -0.1 * (sigma(0.2) - 0.8)], reward: -1),
  ]

  @Test func theLogOddsAreGolden() { #expect(abs(Self.logOdds - -0.607069001) < goldenTolerance) }

  @Test func theReferenceIsNotLookedAt() throws {
    let other = pair((-10, 3, 5), (-12, 70, 8))
    for name in ["simpo", "slic", "cpo", "orpo"] {
      let objective = try objective(name)
      #expect(!objective.traits.needsReference)
      #expect(objective.loss(of: other) == objective.loss(of: goldenPair))
    }
  }
}
