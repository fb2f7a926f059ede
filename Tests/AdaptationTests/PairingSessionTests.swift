import Adaptation
import AlignmentCore
import Foundation
import Testing

@Suite struct PairingSessionTests {
  /// Groups of different sizes with distinct texts; the score of a response is the number that its text ends with.
  static func groups(_ sizes: [Int] = [8, 0, 5, 1, 2, 3]) -> [CandidateGroup] {
    sizes.enumerated().map { number, size in
      let stream = RandomStream(seed: 41, purpose: .sampling, number)
      let scores = (0..<size).map(stream.normal)
      return CandidateGroup(
        number: number, prompt: "prompt \(number)", texts: scores.map { "response \($0)" }, scores: scores)
    }
  }

  static func session(
    _ name: String, settings: [String: String] = [:], seed: UInt64 = 1, round: Int = 0,
    _ change: (inout PairingSession) -> Void = { _ in }
  ) throws -> PairingSession {
    var session = PairingSession(try PairingRegistry.make(name, settings: settings), seed: seed, round: round)
    change(&session)
    return session
  }

  static func score(_ text: String) -> Double { Double(text.split(separator: " ").last ?? "") ?? 0 }

  /// A judge that knows the scores and is as sure as they differ.
  static func judge(_ comparisons: [Comparison]) -> [Judgement] {
    comparisons.map { Judgement(q: logistic(score($0.first) - score($0.second)), cost: paid(1)) }
  }

  static let scores = try! ScorePreference()

  @Test(arguments: PairingRegistry.names)
  func scoresAndAJudgeThatKnowsThemGiveTheSameLabels(_ name: String) throws {
    let session = try Self.session(name)
    let byScores = try session.run(on: Self.groups(), judge: .scores(Self.scores))
    let byJudge = try session.run(on: Self.groups(), judge: .function(Self.judge))
    #expect(byScores.labels.count == byJudge.labels.count && !byScores.labels.isEmpty)
    for (one, other) in zip(byScores.labels, byJudge.labels) {
      #expect((one.group, one.first, one.second ?? -1) == (other.group, other.first, other.second ?? -1))
      #expect(abs(one.q - other.q) < 1e-12 && one.scores == other.scores && one.weight == other.weight)
      #expect(other.kind == .imitation || (one.source == .scores && other.source == .judge))
    }
  }

  @Test(arguments: PairingRegistry.names)
  func labelsOfAGroupDoNotDependOnOtherGroups(_ name: String) throws {
    let session = try Self.session(name) { $0.resampling = try? ResponseResampling(count: 4, temperature: 1) }
    let all = try session.run(on: Self.groups(), judge: .function(Self.judge))
    for (place, group) in Self.groups().enumerated() {
      var own = all.labels.filter { $0.group == place }
      for index in own.indices { own[index].group = 0 }
      #expect(try session.run(on: [group], judge: .function(Self.judge)).labels == own)
    }
  }

  @Test(arguments: PairingRegistry.names)
  func theBetterResponseComesFirst(_ name: String) throws {
    let groups = Self.groups()
    let labels = try Self.session(name).run(on: groups, judge: .function(Self.judge)).labels
    for label in labels {
      #expect(label.q >= 0.5 && label.prompt == groups[label.group].number)
      #expect(label.scores == [label.first, label.second].compactMap { $0.map { groups[label.group].scores[$0] } })
      guard let second = label.second else { continue }
      let gap = groups[label.group].scores[label.first] - groups[label.group].scores[second]
      #expect(gap > 0 && abs(label.q - logistic(gap)) < 1e-12 && abs(label.confidence - abs(2 * label.q - 1)) < 1e-12)
    }
  }

  @Test func roundsAndSeedsDrawDifferentPairs() throws {
    let runs = try [(1, 0), (1, 1), (2, 0)].map { seed, round in
      try Self.session("first_round", seed: UInt64(seed), round: round)
        .run(on: Self.groups(), judge: .scores(Self.scores)).labels
    }
    #expect(runs[0] != runs[1] && runs[0] != runs[2])
  }

  @Test func aRoundIsJudgedAtOnce() throws {
    var batches: [Int] = []
    let judge: PairJudge = .function { comparisons in
      batches.append(comparisons.count)
      return Self.judge(comparisons)
    }
    _ = try Self.session("all_pairs").run(on: Self.groups([8, 5]), judge: judge)
    #expect(batches == [28 + 10])
    batches = []
    let round = try Self.session("tournament").run(on: Self.groups([8, 5, 2]), judge: judge)
    #expect(batches == [4 + 2 + 1, 2 + 1, 1 + 1])
    #expect(round.labels.map(\.group) == [Int](repeating: 0, count: 7) + [Int](repeating: 1, count: 4) + [2])
    #expect(round.statistics.judge.cost == paid(12) && round.statistics.judged == 12)
  }

  @Test func resampledResponsesKeepTheirPlaces() throws {
    let groups = Self.groups([8])
    let session = try Self.session("all_pairs") { $0.resampling = try? ResponseResampling(count: 3, temperature: 0) }
    let labels = try session.run(on: groups, judge: .scores(Self.scores)).labels
    let best = Set(groups[0].scores.indices.sorted { groups[0].scores[$0] > groups[0].scores[$1] }.prefix(3))
    #expect(Set(labels.flatMap { [$0.first, $0.second!] }) == best && labels.count == 3)
    #expect(labels.allSatisfy { $0.weight == 0.5 })
  }

  @Test func hardLabelsAreCertainAndRememberHowSureTheyWere() throws {
    let soft = try Self.session("all_pairs").run(on: Self.groups(), judge: .scores(Self.scores)).labels
    let hard = try Self.session("all_pairs") { $0.isHard = true }.run(on: Self.groups(), judge: .scores(Self.scores))
      .labels
    #expect(hard.allSatisfy { $0.q == 1 } && soft.contains { $0.q < 1 })
    #expect(hard.map(\.confidence) == soft.map(\.confidence) && hard.map(\.first) == soft.map(\.first))
  }

  @Test func bestOfNGivesCompletionsToImitate() throws {
    let round = try Self.session("best_of_n").run(
      on: Self.groups(),
      judge: .function { _ in
        Issue.record("there is nothing to compare")
        return []
      })
    #expect(round.labels.map(\.group) == [0, 2, 3, 4, 5])
    #expect(round.labels.allSatisfy { $0.kind == .imitation && $0.second == nil && $0.q == 1 && $0.weight == 1 })
    #expect(round.statistics.judged == 0 && round.statistics.scored == 0 && round.statistics.meanConfidence == nil)
  }

  @Test func missingOrImpossibleScoresAreFaults() throws {
    let unscored = [CandidateGroup(number: 0, texts: ["a", "b"])]
    for name in ["max_min", "min_gap", "best_of_n", "best_random"] {
      #expect(throws: Fault.self) { try Self.session(name).run(on: unscored, judge: .function(Self.judge)) }
    }
    #expect(throws: Fault.self) { try Self.session("all_pairs").run(on: unscored, judge: .scores(Self.scores)) }
    #expect(throws: Fault.self) {
      try Self.session("all_pairs") { $0.filters.gap = .absolute(1) }.run(on: unscored, judge: .function(Self.judge))
    }
    for scores in [[1.0], [1, .nan], [1, .infinity]] {
      let groups = [CandidateGroup(number: 0, texts: ["a", "b"], scores: scores)]
      #expect(throws: Fault.self) { try Self.session("all_pairs").run(on: groups, judge: .function(Self.judge)) }
    }
    #expect(
      try Self.session("all_pairs").run(on: unscored, judge: .function { $0.map { _ in Judgement(q: 1) } }).labels.count
        == 1)
  }

  @Test(arguments: [Double.nan, -0.1, 1.1])
  func answersThatAreNoProbabilitiesAreFaults(_ q: Double) throws {
    let judge: PairJudge = .function { $0.map { _ in Judgement(q: q) } }
    #expect(throws: Fault.self) { try Self.session("all_pairs").run(on: Self.groups(), judge: judge) }
    let scoring: PairJudge = .function { $0.map { _ in Judgement(q: 0.5, scores: [q / 0, 1]) } }
    #expect(throws: Fault.self) { try Self.session("all_pairs").run(on: Self.groups(), judge: scoring) }
  }

  @Test func aJudgesFaultIsPassedOn() throws {
    let judge: PairJudge = .function { _ in throw Fault(.environment, "no answer") }
    #expect(throws: Fault.self) { try Self.session("tournament").run(on: Self.groups(), judge: judge) }
  }

  @Test func abstentionsAreDroppedAndATournamentGoesOn() throws {
    let judge: PairJudge = .function { $0.map { _ in Judgement(q: nil) } }
    let round = try Self.session("tournament").run(on: Self.groups([8]), judge: judge)
    #expect(
      round.labels.isEmpty && round.statistics.dropped == [.abstained: 7] && round.statistics.judge.abstentions == 7)
  }
}

@Suite struct JudgeBudgetTests {
  static let candidates = (0..<50).map { index in
    JudgeBudget.Candidate(
      prompt: index / 5, order: index % 5,
      confidence: RandomStream(seed: 6, purpose: .sampling).uniform(at: index))
  }

  @Test(arguments: [
    (JudgeBudget.Amount.share(0.2), 10), (.share(0), 0), (.share(1), 50), (.comparisons(7), 7), (.comparisons(99), 50),
  ])
  func theBudgetIsKeptAndUsed(_ amount: JudgeBudget.Amount, _ count: Int) throws {
    for choice in JudgeBudget.Choice.allCases {
      let places = try JudgeBudget(amount, choice: choice).places(among: Self.candidates, seed: 1, round: 0)
      #expect(places.count == count && places == places.sorted() && Set(places).count == count)
      let whole = try JudgeBudget(amount, choice: choice, by: .prompt).places(among: Self.candidates, seed: 1, round: 0)
      #expect(whole.count == count / 5 * 5)
      for prompt in 0..<10 { #expect([0, 5].contains(whole.count { $0 / 5 == prompt })) }
    }
    #expect(try JudgeBudget(.comparisons(7)).places(among: Self.candidates, used: 5, seed: 1, round: 0).count == 2)
    #expect(try JudgeBudget(.comparisons(7)).places(among: Self.candidates, used: 9, seed: 1, round: 0).isEmpty)
  }

  @Test func theLeastSureComeFirst() throws {
    let places = try JudgeBudget(.comparisons(10), choice: .uncertain).places(among: Self.candidates, seed: 1, round: 0)
    let limit = places.map { Self.candidates[$0].confidence }.max()!
    #expect(Self.candidates.count { $0.confidence <= limit } == 10)
    let whole = try JudgeBudget(.comparisons(5), choice: .uncertain, by: .prompt)
      .places(among: Self.candidates, seed: 1, round: 0)
    let means = (0..<10).map { prompt in
      Self.candidates.filter { $0.prompt == prompt }.reduce(0) { $0 + $1.confidence / 5 }
    }
    #expect(whole.map { $0 / 5 } == [Int](repeating: means.firstIndex(of: means.min()!)!, count: 5))
  }

  @Test func chanceIsFairAndBelongsToTheComparison() throws {
    let budget = try JudgeBudget(.comparisons(10))
    var counts = [Double](repeating: 0, count: 50)
    for round in 0..<2_000 {
      for place in budget.places(among: Self.candidates, seed: 3, round: round) { counts[place] += 1 }
    }
    #expect(chiSquare(counts, counts.map { _ in 400 }) < chiSquareLimit(freedom: 49))
    // Those chosen of all are also chosen of a part that holds them.
    let chosen = budget.places(among: Self.candidates, seed: 3, round: 0)
    let part = Array(Self.candidates[chosen[0]...])
    #expect(budget.places(among: part, seed: 3, round: 0).map { $0 + chosen[0] } == chosen)
  }

  @Test func theRestIsLabelledByScores() throws {
    let groups = PairingSessionTests.groups([8, 8, 8])
    var asked: [Comparison] = []
    let judge: PairJudge = .budgeted(
      try JudgeBudget(.share(0.25), choice: .uncertain),
      { comparisons in
        asked += comparisons
        return comparisons.map { _ in Judgement(q: 0.99) }
      }, otherwise: try ScorePreference())
    let round = try PairingSessionTests.session("all_pairs").run(on: groups, judge: judge)
    #expect(asked.count == 21 && round.statistics.judged == 21 && round.statistics.scored == 63)
    let gaps = { (isJudged: Bool) in
      round.labels.filter { ($0.source == .judge) == isJudged }.map { label in
        abs(groups[label.group].scores[label.first] - groups[label.group].scores[label.second!])
      }
    }
    #expect(gaps(true).count == 21 && gaps(true).max()! <= gaps(false).min()!)
    #expect(round.labels.filter { $0.source == .judge }.allSatisfy { $0.q == 0.99 })
  }

  @Test(arguments: [JudgeBudget.Choice.random, .uncertain])
  func aRationLeavesTheRestWithoutLabels(choice: JudgeBudget.Choice) throws {
    let groups = PairingSessionTests.groups([8, 8, 8])
    let preference = choice == .uncertain ? try ScorePreference() : nil
    let round = try PairingSessionTests.session("all_pairs").run(
      on: choice == .uncertain ? groups : groups.map { CandidateGroup(number: $0.number, texts: $0.texts) },
      judge: .rationed(try JudgeBudget(.share(0.25), choice: choice), PairingSessionTests.judge, by: preference))
    let budgeted = try PairingSessionTests.session("all_pairs").run(
      on: groups,
      judge: .budgeted(
        try JudgeBudget(.share(0.25), choice: choice), PairingSessionTests.judge, otherwise: try ScorePreference()))
    let pairs = { (labels: [PseudoLabel]) in labels.map { [$0.group, $0.first, $0.second ?? -1] } }
    #expect(pairs(round.labels) == pairs(budgeted.labels.filter { $0.source == .judge }) && round.labels.count == 21)
    #expect(round.statistics.judged == 21 && round.statistics.scored == 0)
    #expect(round.statistics.dropped == [.unasked: 63])
  }

  @Test func aNumberOfComparisonsIsForAllRoundsOfATournament() throws {
    var asked = 0
    let judge: PairJudge = .budgeted(
      try JudgeBudget(.comparisons(5)),
      { comparisons in
        asked += comparisons.count
        return PairingSessionTests.judge(comparisons)
      }, otherwise: try ScorePreference())
    let round = try PairingSessionTests.session("tournament").run(on: PairingSessionTests.groups([8]), judge: judge)
    #expect(asked == 5 && round.statistics.judged == 5 && round.statistics.scored == 2 && round.labels.count == 7)
  }

  @Test func impossibleBudgetsAreFaults() {
    for amount: JudgeBudget.Amount in [.share(1.1), .share(-0.1), .share(.nan), .comparisons(-1)] {
      #expect(throws: Fault.self) { try JudgeBudget(amount) }
    }
  }
}

@Suite struct ResponseLabellingTests {
  static let groups = [
    CandidateGroup(number: 4, prompt: "x", texts: ["a", "b", "c"], scores: [0, 1, 5]),
    CandidateGroup(number: 9, prompt: "y", texts: ["a", "b"], scores: [-1, -3]),
  ]

  @Test(arguments: [
    (DesirabilityThreshold.value(0.5), [false, true, true, false, false]),
    (.promptMean, [false, false, true, true, false]),
    (.mean, [false, true, true, false, false]),
  ])
  func thresholdsDecide(_ threshold: DesirabilityThreshold, _ expected: [Bool]) throws {
    let round = try ResponseLabelling().run(on: Self.groups, judge: .scores(threshold, try ScorePreference()))
    #expect(round.labels.map(\.isDesirable) == expected)
    #expect(round.labels.map(\.first) == [0, 1, 2, 0, 1] && round.labels.map(\.prompt) == [4, 4, 4, 9, 9])
    #expect(round.labels.map(\.scores) == [[0], [1], [5], [-1], [-3]])
    #expect(round.labels.allSatisfy { $0.kind == .response && $0.second == nil && $0.source == .scores })
  }

  @Test func hardLabelsOfResponsesGoBothWays() throws {
    var labelling = ResponseLabelling()
    labelling.isHard = true
    let round = try labelling.run(on: Self.groups, judge: .scores(.promptMean, try ScorePreference()))
    #expect(round.labels.map(\.q) == [0, 0, 1, 1, 0])
  }

  @Test func aJudgeIsAskedOnceForEachTextOfAPrompt() throws {
    var groups = Self.groups
    groups[0].texts[2] = "a"
    var asked: [JudgedResponse] = []
    let round = try ResponseLabelling().run(
      on: groups,
      judge: .function { questions in
        asked += questions
        return questions.map { Judgement(q: $0.response == "a" ? 0.9 : nil, cost: paid(1)) }
      })
    #expect(asked.map { $0.prompt + $0.response } == ["xa", "xb", "ya", "yb"])
    #expect(round.labels.map(\.q) == [0.9, 0.9])
    #expect(round.statistics.dropped == [.duplicate: 1, .abstained: 2] && round.statistics.judge.cost == paid(4))
  }

  @Test func scoresAreNeededForAThreshold() throws {
    let unscored = [CandidateGroup(number: 0, texts: ["a"])]
    #expect(throws: Fault.self) {
      try ResponseLabelling().run(on: unscored, judge: .scores(.mean, try ScorePreference()))
    }
  }
}
