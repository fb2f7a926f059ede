import Glibc
import Objectives
import Testing

/// Objectives under other f-divergences, on the log-ratios 1 and −0.5 of the golden pair.
@Suite struct DivergenceTests {
  /// S at 1 and −0.5, S′ there, and the golden difference and DPO loss.
  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let settings: [String: String]
    let scores: SIMD2<Double>
    let slopes: SIMD2<Double>
    var golden: (difference: Double, loss: Double)?
  }

  static let cases = [
    Case(
      testDescription: "reverse KL: u", settings: ["divergence": "reverse_kl"], scores: [1, -0.5], slopes: [1, 1],
      golden: (1.5, 0.620957048)),
    Case(
      testDescription: "forward KL: −e⁻ᵘ", settings: ["divergence": "forward_kl"],
      scores: [-exp(-1), -exp(0.5)], slopes: [exp(-1), exp(0.5)], golden: (1.28084183, 0.631154384)),
    Case(
      testDescription: "Jensen–Shannon: log σ(u)", settings: ["divergence": "js_divergence"],
      scores: [-logOnePlusExp(-1), -logOnePlusExp(0.5)], slopes: [sigma(-1), sigma(0.5)],
      golden: (0.660815297, 0.660652163)),
    Case(
      testDescription: "α = ½: −2·e^(−u/2)", settings: ["divergence": "alpha_divergence"],
      scores: [-2 * exp(-0.5), -2 * exp(0.25)], slopes: [exp(-0.5), exp(0.25)], golden: (1.354989514, 0.627690947)),
    Case(
      testDescription: "α = 0: forward KL", settings: ["divergence": "alpha_divergence", "divergence_alpha": "0"],
      scores: [-exp(-1), -exp(0.5)], slopes: [exp(-1), exp(0.5)], golden: (1.28084183, 0.631154384)),
    Case(
      testDescription: "α = 1: reverse KL", settings: ["divergence": "alpha_divergence", "divergence_alpha": "1"],
      scores: [1, -0.5], slopes: [1, 1], golden: (1.5, 0.620957048)),
  ]

  @Test(arguments: cases)
  func dpoTakesDifferencesOfScores(_ expected: Case) throws {
    let difference = expected.scores[0] - expected.scores[1]
    let loss = try objective("dpo", expected.settings).loss(of: goldenPair)
    #expect(isClose(loss.value, logOnePlusExp(-0.1 * difference)))
    for (index, sign) in [-1.0, 1].enumerated() {
      #expect(isClose(loss.derivatives[index], sign * 0.1 * sigma(-0.1 * difference) * expected.slopes[index]))
    }
    let golden = try #require(expected.golden)
    #expect(abs(difference - golden.difference) < 10 * goldenTolerance, "given to eight decimals")
    #expect(abs(loss.value - golden.loss) < goldenTolerance)
  }

  // −log σ(β·S(c)) − log σ(−β·S(r))
  @Test(arguments: cases)
  func eachSideHasItsOwnScore(_ expected: Case) throws {
    let loss = try objective("bco_pair", expected.settings).loss(of: goldenPair)
    let (c, r) = (0.1 * expected.scores[0], 0.1 * expected.scores[1])
    #expect(isClose(loss.value, logOnePlusExp(-c) + logOnePlusExp(r)))
    #expect(isClose(loss.derivatives[0], -0.1 * sigma(-c) * expected.slopes[0]))
    #expect(isClose(loss.derivatives[1], 0.1 * sigma(r) * expected.slopes[1]))
  }

  // (S(c)/5 − S(r)/8 − 5)²
  @Test(arguments: cases)
  func scoresAreAveragedOverTokens(_ expected: Case) throws {
    let loss = try objective("ipo", expected.settings).loss(of: goldenPair)
    let root = expected.scores[0] / 5 - expected.scores[1] / 8 - 5
    #expect(isClose(loss.value, root * root))
    #expect(isClose(loss.derivatives[0], 2 * root / 5 * expected.slopes[0]))
    #expect(isClose(loss.derivatives[1], -2 * root / 8 * expected.slopes[1]))
  }

  // 1 − σ(β·S(z)) and 1 − σ(−β·S(z))
  @Test(arguments: cases)
  func labelledCompletionsHaveScoresToo(_ expected: Case) throws {
    let kto = try objective("kto", expected.settings.merging(["kl": "zero"]) { $1 })
    #expect(isClose(kto.loss(of: KTOTests.desirable).value, 1 - sigma(0.1 * expected.scores[0])))
    let loss = kto.loss(of: KTOTests.undesirable)
    #expect(isClose(loss.value, 1 - sigma(-0.1 * expected.scores[1])))
    let s = sigma(0.1 * expected.scores[1])
    #expect(isClose(loss.derivatives[0], 0.1 * s * (1 - s) * expected.slopes[1]))
  }

  // The alpha divergences approach the reverse KL: S(c) − S(r) = Δ + (α − 1)·(c² − r²)/2 + …
  @Test(arguments: [1e-3, 1e-5, 1e-9, 1e-15])
  func alphaNearOneIsNearTheReverseKL(gap: Double) throws {
    let loss = try objective("dpo", ["divergence": "alpha_divergence", "divergence_alpha": "\(1 - gap)"])
      .loss(of: goldenPair)
    #expect(abs(loss.value - logOnePlusExp(-0.15)) < gap + 1e-9)
  }

  // The likelihood is of the policy, whatever holds it near the reference: 10·examplesPerToken.
  @Test func likelihoodsAreNotTransformed() throws {
    let settings = ["divergence": "forward_kl"]
    let plain = try objective("dpo", settings).loss(of: goldenPair)
    let expected = Dual(plain.value + 0.5 * 10, derivatives: plain.derivatives - [0.5, 0])
    for loss in [
      try PreferenceLoss(["dpo"], settings: settings.merging(["nll": "0.5"]) { $1 }),
      try PreferenceLoss(["dpo", "sft"], weights: [1, 0.5], settings: settings),
    ] {
      let found = loss.objective.loss(of: goldenPair)
      #expect(isClose(found.value, expected.value))
      #expect(isClose(found.derivatives[0], expected.derivatives[0]))
      #expect(isClose(found.derivatives[1], expected.derivatives[1]))
    }
  }

  // The shift of BCO is the mean of what it is subtracted from: β·S.
  @Test func theShiftIsOfScores() throws {
    var bco = try objective("bco", ["divergence": "forward_kl"])
    bco.observe([KTOTests.desirable])
    #expect(isClose(bco.loss(of: KTOTests.desirable).value, log(2)))
  }

  @Test func rewardsRemainLogRatios() throws {
    #expect(isClose(try objective("dpo", ["divergence": "js_divergence"]).reward(goldenPair.completions[0]), 0.1))
  }
}
