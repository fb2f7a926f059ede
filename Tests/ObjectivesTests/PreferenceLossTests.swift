import AlignmentCore
import Objectives
import Testing

/// Mixtures and modifiers as recipes make them.
@Suite struct PreferenceLossTests {
  /// The golden pair in a batch of one example in four tokens.
  static let group = ReferenceFreeObjectiveTests.batch

  // RPO: −log σ(0.15) + 0.5·10/4
  @Test func likelihoodIsAddedToDPO() throws {
    let expected = logOnePlusExp(-0.15) + 0.5 * 2.5
    for loss in [
      try PreferenceLoss(["dpo"], settings: ["nll": "0.5"]), try PreferenceLoss(["dpo", "sft"], weights: [1, 0.5]),
    ] {
      let found = loss.objective.loss(of: Self.group)
      #expect(isClose(found.value, expected))
      #expect(isClose(found.derivatives[0], -0.1 * sigma(-0.15) - 0.5 * 0.25))
      #expect(isClose(found.derivatives[1], 0.1 * sigma(-0.15)))
      #expect(loss.objective.traits == ObjectiveTraits(.pair, needsReference: true))
    }
  }

  // MPO: 0.8·dpo + 0.2·bco_pair + sft
  @Test func threeObjectivesAreAdded() throws {
    let mixture = try PreferenceLoss(["dpo", "bco_pair", "sft"], weights: [0.8, 0.2, 1]).objective
    let expected = 0.8 * 0.620957048 + 0.2 * 1.312856308 + 2.5
    #expect(abs(mixture.loss(of: Self.group).value - expected) < 2 * goldenTolerance)
    // The first objective's reward.
    #expect(isClose(mixture.reward(Self.group.completions[0]), 0.1))
  }

  @Test func weightsAreOneByDefault() throws {
    let mixture = try PreferenceLoss(["hinge", "simpo"], settings: ["beta": "0.1"]).objective.loss(of: Self.group)
    let terms = try ["hinge", "simpo"].map { try objective($0, ["beta": "0.1"]).loss(of: Self.group) }
    #expect(isClose(mixture.value, terms[0].value + terms[1].value))
  }

  @Test func oneObjectiveCanHaveAWeight() throws {
    let loss = try PreferenceLoss(["hinge"], weights: [3]).objective.loss(of: Self.group)
    #expect(isClose(loss.value, 3 * 0.85) && isClose(loss.derivatives[0], -0.3))
  }

  static let kinds: [(names: [String], settings: [String: String], traits: ObjectiveTraits)] = [
    (["simpo", "sft"], [:], ObjectiveTraits(.pair, needsReference: false)),
    (["sft", "dpo"], [:], ObjectiveTraits(.pair, needsReference: true)),
    (["sft", "kto"], [:], ObjectiveTraits(.labelled, needsReference: true, survey: .mismatched)),
    (["kto", "bco"], [:], ObjectiveTraits(.labelled, needsReference: true, survey: .mismatched)),
    (["bco", "kto"], ["kl": "opposite"], ObjectiveTraits(.labelled, needsReference: true, survey: .own)),
    (["slic", "aot"], [:], ObjectiveTraits(.pair, needsReference: true, survey: .own)),
    (["aot", "aot_unpaired"], [:], ObjectiveTraits(.pair, needsReference: true, survey: .own)),
    (["sft", "sft"], [:], ObjectiveTraits(.preferred, needsReference: false)),
    (["csft", "csft"], [:], ObjectiveTraits(.conditioned, needsReference: false)),
  ]

  @Test(arguments: kinds)
  func traitsAreThoseThatServeAll(_ kind: (names: [String], settings: [String: String], traits: ObjectiveTraits)) throws
  {
    #expect(try PreferenceLoss(kind.names, settings: kind.settings).objective.traits == kind.traits)
  }

  // The likelihood of a pair whose label is right with probability q is that of the one that is chosen.
  @Test func softLabelsReachTheLikelihood() throws {
    var group = Self.group
    group.softLabel = 0.7
    let sft = try PreferenceLoss(["dpo", "sft"], weights: [0, 1]).objective.loss(of: group)
    #expect(isClose(sft.value, 0.25 * (0.7 * 10 + 0.3 * 12)))
    #expect(isClose(sft.derivatives[0], -0.25 * 0.7) && isClose(sft.derivatives[1], -0.25 * 0.3))
  }

  @Test func everyTermIsPrepared() throws {
    var mixture = try PreferenceLoss(["sft", "aot"], weights: [0, 1]).objective
    mixture.prepare(for: AOTTests.batch)
    #expect(isClose(mixture.loss(of: AOTTests.batch[0]).value, logOnePlusExp(-0.15)))
  }

  @Test func theStateOfEveryTermIsKept() throws {
    var mixture = try PreferenceLoss(["sft", "bco", "bco"], weights: [0, 2, 1], settings: ["kl": "zero"]).objective
    #expect(mixture.state == [0, 0, 0, 0])
    mixture.observe([KTOTests.desirable, KTOTests.undesirable])
    #expect(zip(mixture.state, [0.05, 2, 0.05, 2]).allSatisfy { isClose($0, $1) })
    #expect(mixture.metrics.map(\.name) == ["rewards/shift", "rewards/shift"])
    var resumed = try PreferenceLoss(["sft", "bco", "bco"], weights: [0, 2, 1]).objective
    resumed.state = [0.06, 3, 0, 0]
    #expect(resumed.state == [0.06, 3, 0, 0])
    // Shifts 0.02 and 0.
    let expected = 2 * logOnePlusExp(-0.08) + logOnePlusExp(-0.1)
    #expect(isClose(resumed.loss(of: KTOTests.desirable).value, expected))
  }

  @Test func theSettingsInEffectAreListed() throws {
    let loss = try PreferenceLoss(["dpo", "ipo"], settings: ["beta": "0.5", "nll": "1", "gamma": "7"])
    let expected = [
      ("beta", "0.5"), ("label_smoothing", "0.0"), ("tau", "0.1"), ("ipo_average", "tokens"),
      ("divergence", "reverse_kl"), ("divergence_alpha", "0.5"), ("ld_alpha", "1.0"), ("humanline", "no"),
      ("log_epsilon_P", "-1.0"), ("log_epsilon_R", "1.5"), ("nll", "1"), ("weighting", "none"),
    ]
    #expect(loss.settings.map(\.name) == expected.map(\.0) && loss.settings.map(\.value) == expected.map(\.1))
  }

  /// What the list says must make the same loss again, as a resumed run does.
  @Test(arguments: [["dpo", "sft"], ["dpo", "bco_pair", "sft"], ["exo"], ["simpo"], ["kto"], ["cpo", "orpo"]])
  func theListMakesTheSameLoss(names: [String]) throws {
    let loss = try PreferenceLoss(names)
    let again = try PreferenceLoss(names, settings: Dictionary(uniqueKeysWithValues: loss.settings.map { ($0, $1) }))
    #expect(again.objective.loss(of: Self.group) == loss.objective.loss(of: Self.group))
    #expect(again.reduction == loss.reduction)
  }
}

/// Every refusal names the key and says what to do.
@Suite struct PreferenceLossRefusalTests {
  struct Refusal: Sendable, CustomTestStringConvertible {
    let names: [String]
    var weights: [Double] = []
    var settings: [String: String] = [:]
    let location: String
    /// A part of the hint.
    let hint: String

    var testDescription: String { "\(names) \(weights) \(settings)" }
  }

  static let refusals = [
    Refusal(names: [], location: "objective.name", hint: "dpo"),
    Refusal(names: ["dpo", "nothing"], location: "objective.name", hint: "objectives are sft, csft, dpo"),
    Refusal(names: ["dpo", "sft"], weights: [1], location: "objective.weights", hint: "one weight for each"),
    Refusal(names: ["dpo"], weights: [1, 2], location: "objective.weights", hint: "one weight for each"),
    Refusal(names: ["dpo"], weights: [.nan], location: "objective.weights", hint: "0"),
    Refusal(names: ["dpo"], weights: [.infinity], location: "objective.weights", hint: "0"),
    Refusal(names: ["dpo"], weights: [-1], location: "objective.weights", hint: "0"),
    Refusal(names: ["dpo"], settings: ["bta": "1"], location: "objective.bta", hint: "beta"),
    Refusal(names: ["dpo"], settings: ["beta": "-1"], location: "objective.beta", hint: "strength"),
    Refusal(names: ["dpo"], settings: ["nll": "-1"], location: "objective.nll", hint: "weight"),
    Refusal(names: ["dpo"], settings: ["divergence": "chi"], location: "objective.divergence", hint: "f-divergence"),
    Refusal(names: ["dpo"], settings: ["humanline": "maybe"], location: "objective.humanline", hint: "clamp"),
  ]

  static let mixtures = [
    Refusal(names: ["dpo", "kto"], location: "objective.name", hint: "mix objectives on pairs"),
    Refusal(names: ["kto", "dpo"], location: "objective.name", hint: "mix objectives on pairs"),
    Refusal(names: ["csft", "sft"], location: "objective.name", hint: "mix"),
    Refusal(names: ["sft", "csft"], location: "objective.name", hint: "mix"),
    Refusal(names: ["dpo", "bradley_terry"], location: "objective.name", hint: "mix"),
    Refusal(names: ["regression", "classification"], location: "objective.name", hint: "mix"),
    // Their defaults of one key differ, so no list of settings could say what was used.
    Refusal(names: ["dpo", "exo"], location: "objective.label_smoothing", hint: "label_smoothing"),
    Refusal(names: ["dpo", "simpo"], location: "objective.beta", hint: "beta"),
  ]

  static let modifiers =
    ["simpo", "sft", "orpo", "aot", "bradley_terry", "kto"].map {
      Refusal(
        names: [$0], settings: ["divergence": "forward_kl"], location: "objective.divergence", hint: "dpo, robust")
    }
    + ["simpo", "sft", "bradley_terry", "regression"].map {
      Refusal(
        names: [$0], settings: ["humanline": "yes"], location: "objective.humanline", hint: "use it with dpo or kto")
    }
    + ["sft", "kto", "csft", "regression"].map {
      Refusal(names: [$0], settings: ["ld_alpha": "0.5"], location: "objective.ld_alpha", hint: "use it with dpo")
    } + [
      Refusal(names: ["bradley_terry"], settings: ["ld_alpha": "0.5"], location: "objective.ld_alpha", hint: "leave")
    ]
    + ["bradley_terry", "regression", "classification", "csft"].map {
      Refusal(names: [$0], settings: ["nll": "0.5"], location: "objective.nll", hint: "dpo")
    }

  @Test(arguments: refusals + mixtures + modifiers)
  func isRefused(_ refusal: Refusal) throws {
    let fault = try #require(
      fault { _ = try PreferenceLoss(refusal.names, weights: refusal.weights, settings: refusal.settings) })
    #expect(fault.location == refusal.location)
    #expect(fault.hint.contains(refusal.hint) && !fault.what.isEmpty, "\(fault)")
  }

  @Test func sharedOptionsCanBeGiven() throws {
    let loss = try PreferenceLoss(["dpo", "exo"], settings: ["label_smoothing": "0.1"])
    #expect(loss.settings.contains { $0 == ("label_smoothing", "0.1") })
  }
}
