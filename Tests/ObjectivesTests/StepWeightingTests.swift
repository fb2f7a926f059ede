import AlignmentCore
import Glibc
import Objectives
import Testing

/// Weights of pairs that the policy of the step determines.
@Suite struct StepWeightingTests {
  private func weighting(_ name: String, _ settings: [String: String] = [:]) throws -> any StepWeighting {
    try #require(try PreferenceLoss(["dpo"], settings: settings.merging(["weighting": name]) { $1 }).weighting)
  }

  private func weight(_ weighting: any StepWeighting, of completions: [TokenSums]) -> Double {
    weighting.weight(completions.reduce(0) { $0 + weighting.logWeight(of: $1) }, completions: completions.count)
  }

  // MARK: WPO

  /// The logits of two completions of four and three tokens, and which tokens those are.
  static let logits: [[[Double]]] = [
    [
      [0.002, 0.597, -0.548, -1.781, -0.909, -1.983, 0.12], [2.68, -0.984, -1.241, 0.98, 0.714, 0.211, -1.861],
      [-0.059, 1.391, -2.688, -0.915, -3.802, -2.579, -3.683], [-0.47, -2.535, 0.543, 0.314, -0.374, -5.034, -1.077],
    ],
    [
      [-0.097, 0.227, -3.06, -0.956, -1.957, -1.618, 2.122], [-1.615, -0.065, 1.769, -1.167, -0.223, 0.221, 0.128],
      [-2.45, 0.152, 2.718, -3.094, 1.719, 0.239, -1.283],
    ],
  ]
  static let targets = [[2, 2, 4, 6], [2, 4, 3]]

  /// What tokens add up to, with −log of Σ p² or of max p for the entropy.
  private func sums(_ completion: Int, _ order: RenyiOrder?) -> TokenSums {
    var sums = TokenSums(policy: 0, tokens: Self.targets[completion].count)
    for (logits, target) in zip(Self.logits[completion], Self.targets[completion]) {
      let total = logits.reduce(0) { $0 + exp($1) }
      let p = logits.map { exp($0) / total }
      sums.policy += log(p[target])
      switch order {
      case .one: sums.entropy -= p.reduce(0) { $0 + $1 * log($1) }
      case .two: sums.entropy -= log(p.reduce(0) { $0 + $1 * $1 })
      case .infinity: sums.entropy -= log(p.max() ?? 0)
      case .one, nil: break
      }
    }
    return sums
  }

  // python -c "import numpy as np; r = np.random.default_rng(7); z = r.normal(0, 2, (2, 4, 7)).round(3);
  //   y = r.integers(0, 7, (2, 4)); lp = z - np.log(np.exp(z).sum(-1, keepdims=True));
  //   t = np.take_along_axis(lp, y[..., None], -1)[..., 0];
  //   print([[np.exp((t - s)[i, :n].mean()) for i, n in enumerate([4, 3])]
  //     for s in (0 * t, lp.max(-1), np.log(np.exp(2 * lp).sum(-1)))])"
  @Test(arguments: [
    ("plain", [0.025521049792441727, 0.008476988878350073]), ("greedy", [0.05131613776286414, 0.01318511592975691]),
    ("sampled", [0.07241621410454185, 0.018565467427878228]),
  ])
  func theWeightOfACompletionIsItsMeanAlignedProbability(alignment: String, golden: [Double]) throws {
    let wpo = try weighting("wpo", ["wpo_alignment": alignment, "wpo_clamp": "no"])
    let completions = [0, 1].map { sums($0, wpo.entropyOrder) }
    for (completion, expected) in zip(completions, golden) {
      #expect(isClose(weight(wpo, of: [completion]), expected))
    }
    #expect(isClose(weight(wpo, of: completions), golden[0] * golden[1]))
  }

  @Test func whatGreedyDecodingSaysHasWeightOne() throws {
    let wpo = try weighting("wpo", ["wpo_alignment": "greedy", "wpo_clamp": "no"])
    #expect(weight(wpo, of: [TokenSums(policy: -3.25, entropy: 3.25, tokens: 5)]) == 1)
  }

  // Σ p² is the mean of p under p: of a token that is drawn, p / Σ p² has mean 1.
  @Test func drawnTokensHaveAMeanWeightOfOne() throws {
    let wpo = try weighting("wpo", ["wpo_clamp": "no"])
    let p = [0.5, 0.3, 0.15, 0.05]
    let collision = p.reduce(0) { $0 + $1 * $1 }
    let mean = p.reduce(0) {
      $0 + $1 * weight(wpo, of: [TokenSums(policy: log($1), entropy: -log(collision), tokens: 1)])
    }
    #expect(isClose(mean, 1))
  }

  // Completions of mean log-weights 0.4 and −0.1: e^0.3 together.
  @Test func theClampIsOfThePairNotOfItsCompletions() throws {
    let likely = TokenSums(policy: -2, entropy: 4, tokens: 5)
    let unlikely = TokenSums(policy: -2, entropy: 1.8, tokens: 2)
    let (free, clamped) = (try weighting("wpo", ["wpo_clamp": "no"]), try weighting("wpo"))
    #expect(isClose(weight(free, of: [likely, unlikely]), exp(0.3)))
    #expect(weight(clamped, of: [likely, unlikely]) == 1)
    #expect(isClose(weight(clamped, of: [unlikely]), exp(-0.1)) && weight(clamped, of: [likely]) == 1)
    let less = TokenSums(policy: -5, entropy: 1.8, tokens: 2)
    #expect(isClose(weight(clamped, of: [likely, less]), exp(0.4 - 1.6)))
  }

  @Test func aCompletionWithoutTokensIsCertain() throws {
    #expect(weight(try weighting("wpo"), of: [TokenSums(policy: 0, tokens: 0)]) == 1)
  }

  @Test(arguments: [("plain", nil), ("greedy", .infinity), ("sampled", .two)] as [(String, RenyiOrder?)])
  func anEntropyIsAskedForOnlyWhereItCounts(alignment: String, order: RenyiOrder?) throws {
    #expect(try weighting("wpo", ["wpo_alignment": alignment]).entropyOrder == order)
    #expect(try weighting("is_daa").entropyOrder == nil)
  }

  // MARK: IS-DAA

  // Log-ratios 0.25 and −0.75, cut at twice 0.2.
  @Test func importanceIsTheRatioOfPolicyAndReference() throws {
    let first = TokenSums(policy: -9.75, reference: -10, tokens: 4)
    let second = TokenSums(policy: -500.75, reference: -500, tokens: 90)
    let weighting = try weighting("is_daa")
    #expect(isClose(weight(weighting, of: [first, second]), exp(-0.5)))
    #expect(isClose(weight(weighting, of: [first]), exp(0.2)))
    #expect(isClose(weight(weighting, of: [first, first]), exp(0.4)))
    let wide = try self.weighting("is_daa", ["is_daa_epsilon": "3"])
    #expect(isClose(weight(wide, of: [first, first]), exp(0.5)))
  }

  // MARK: All

  @Test(arguments: StepWeightingRegistry.all.map { $0.name })
  func whatIsNotANumberShows(name: String) throws {
    #expect(weight(try weighting(name), of: [TokenSums(policy: .nan, tokens: 3)]).isNaN)
  }

  @Test(arguments: StepWeightingRegistry.all.map { $0.name })
  func weightsAreOfPreferencesWithLossesOfTheirOwn(name: String) throws {
    for objective in ["dpo", "ipo", "kto", "bco"] {
      #expect(try PreferenceLoss([objective], settings: ["weighting": name]).weighting != nil)
    }
    for objective in ["sft", "csft", "bradley_terry", "regression", "classification", "aot", "aot_unpaired"] {
      let fault = fault { _ = try PreferenceLoss([objective], settings: ["weighting": name]) }
      #expect(fault?.location == "objective.weighting", "\(objective)")
    }
  }

  @Test func importanceNeedsAReference() throws {
    #expect(try PreferenceLoss(["simpo"], settings: ["weighting": "wpo"]).weighting != nil)
    let fault = fault { _ = try PreferenceLoss(["simpo"], settings: ["weighting": "is_daa"]) }
    #expect(fault?.location == "objective.weighting")
  }

  @Test func byDefaultThereIsNone() throws {
    let loss = try PreferenceLoss(["dpo"], settings: ["wpo_alignment": "plain"])
    #expect(loss.weighting == nil && loss.settings.contains { $0 == ("weighting", "none") })
    #expect(!loss.settings.contains { $0.name == "wpo_alignment" })
    let weighted = try PreferenceLoss(["dpo"], settings: ["weighting": "wpo", "is_daa_epsilon": "1"])
    #expect(weighted.settings.suffix(3).map(\.value) == ["wpo", "sampled", "yes"])
  }

  @Test func wrongSettingsNameTheirKey() {
    let unknown = fault { _ = try PreferenceLoss(["dpo"], settings: ["weighting": "wpoo"]) }
    #expect(unknown?.location == "objective.weighting" && unknown?.what.contains("none, wpo, is_daa") == true)
    let value = fault { _ = try PreferenceLoss(["dpo"], settings: ["weighting": "wpo", "wpo_alignment": "most"]) }
    #expect(value?.location == "objective.wpo_alignment")
    let epsilon = fault { _ = try PreferenceLoss(["dpo"], settings: ["weighting": "is_daa", "is_daa_epsilon": "-1"]) }
    #expect(epsilon?.location == "objective.is_daa_epsilon")
  }

  @Test func namesAreUniqueAndOptionsDescribeThemselves() {
    let types = StepWeightingRegistry.all
    #expect(Set(types.map { $0.name }).count == types.count)
    for type in types {
      #expect(!type.summary.isEmpty)
      for option in type.options { #expect(!option.meaning.isEmpty && option.name.hasPrefix(type.name)) }
    }
  }
}
