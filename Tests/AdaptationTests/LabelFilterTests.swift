import Adaptation
import AlignmentCore
import Testing

@Suite struct LabelFilterTests {
  /// One pair for each of some prompts.
  static func pairs(_ pairs: [(first: String, second: String, scores: [Double])]) -> [CandidateGroup] {
    pairs.enumerated().map { number, pair in
      CandidateGroup(
        number: number, prompt: "prompt \(number)", texts: [pair.first, pair.second], scores: pair.scores)
    }
  }

  /// Labels by all pairs with a judge that says a q for each prompt, of the first response in the group.
  static func run(
    _ groups: [CandidateGroup], saying q: [Double?], asked: UnsafeMutablePointer<Int>? = nil,
    _ change: (inout LabelFilters) -> Void
  ) throws -> LabelledRound {
    var session = PairingSession(try PairingRegistry.make("all_pairs"), seed: 0)
    change(&session.filters)
    let prompts = Dictionary(uniqueKeysWithValues: groups.enumerated().map { ($1.prompt, $0) })
    return try session.run(
      on: groups,
      judge: .function { comparisons in
        asked?.pointee += comparisons.count
        return comparisons.map { Judgement(q: q[prompts[$0.prompt]!]) }
      })
  }

  static func kept(_ round: LabelledRound) -> [Int] { round.labels.map(\.group) }

  static let five = pairs((0..<5).map { ("a\($0)", "b\($0)", [Double($0), 0]) })

  @Test func equalTextsAreNotAskedFor() throws {
    let groups = Self.pairs([("a", "a", [1, 0]), ("a", "b", [1, 0])])
    var asked = 0
    let round = try Self.run(groups, saying: [1, 1], asked: &asked) { _ in }
    #expect(asked == 1 && Self.kept(round) == [1] && round.statistics.dropped == [.duplicate: 1])
    #expect(
      try Self.run(groups, saying: [1, 1]) {
        $0.dropsDuplicates = false
        $0.tieBand = nil
      }.labels.count == 2)
  }

  @Test func aPairOfTextsCountsOnceForAPrompt() throws {
    let groups = [CandidateGroup(number: 0, prompt: "prompt 0", texts: ["a", "b", "a"], scores: [])]
    let round = try Self.run(groups, saying: [0.9]) { _ in }
    #expect(round.labels.map { [$0.first, $0.second!] } == [[0, 1]])
    #expect(round.statistics.dropped == [.duplicate: 2])
  }

  @Test func lengthsMayDifferByAFactor() throws {
    let groups = Self.pairs([
      ("aaaa", "bb", [0, 0]), ("aaaaa", "bb", [0, 0]), ("", "b", [0, 0]), ("é", "bbbb", [0, 0]),
    ])
    var asked = 0
    let round = try Self.run(groups, saying: [1, 1, 1, 1], asked: &asked) { $0.greatestLengthRatio = 2 }
    #expect(asked == 2 && Self.kept(round) == [0, 3] && round.statistics.dropped == [.lengthRatio: 2])
    #expect(try Self.run(groups, saying: [1, 1, 1, 1]) { _ in }.labels.count == 4)
  }

  @Test func gapsAreAbsoluteOrAQuantile() throws {
    let q = [Double?](repeating: 1, count: 5)
    #expect(Self.kept(try Self.run(Self.five, saying: q) { $0.gap = .absolute(2) }) == [2, 3, 4])
    for (share, expected) in [(0.0, [0, 1, 2, 3, 4]), (0.4, [2, 3, 4]), (0.5, [2, 3, 4]), (0.99, [4]), (1, [4])] {
      #expect(Self.kept(try Self.run(Self.five, saying: q) { $0.gap = .quantile(share) }) == expected)
    }
  }

  @Test func tiesAndDoubtsAreDropped() throws {
    let q: [Double?] = [0.5, 0.55, 0.42, 0.9, 0.05]
    #expect(Self.kept(try Self.run(Self.five, saying: q) { _ in }) == [1, 2, 3, 4])
    #expect(Self.kept(try Self.run(Self.five, saying: q) { $0.tieBand = nil }) == [0, 1, 2, 3, 4])
    #expect(Self.kept(try Self.run(Self.five, saying: q) { $0.tieBand = 0.06 }) == [2, 3, 4])
    #expect(Self.kept(try Self.run(Self.five, saying: q) { $0.leastConfidence = 0.9 }) == [3, 4])
  }

  @Test func everyPairIsCountedOnceUnderTheFirstFilterThatDropsIt() throws {
    // What could drop each: all; length, gap and tie; gap and confidence; abstention; tie and confidence; confidence;
    // none.
    let groups = Self.pairs([
      ("a", "a", [0, 0]), ("aaaaaaa", "b", [0, 0]), ("a", "b", [0, 0]), ("c", "d", [3, 0]), ("e", "f", [3, 0]),
      ("g", "h", [3, 0]), ("i", "j", [3, 0]),
    ])
    let round = try Self.run(groups, saying: [0.5, 0.5, 0.6, nil, 0.5, 0.6, 0.1]) {
      $0.greatestLengthRatio = 3
      $0.gap = .absolute(1)
      $0.leastConfidence = 0.8
    }
    let statistics = round.statistics
    #expect(
      statistics.dropped == [.duplicate: 1, .lengthRatio: 1, .gap: 1, .abstained: 1, .tie: 1, .confidence: 1])
    #expect(statistics.proposed == 7 && statistics.kept == 1 && Self.kept(round) == [6])
    #expect(statistics.kept + statistics.dropped.values.reduce(0, +) == statistics.proposed)
    #expect(statistics.groups == 7 && statistics.responses == 14 && statistics.judged == 4)
    #expect(abs(statistics.meanConfidence! - 0.8) < 1e-15)
  }

  @Test(arguments: PairingRegistry.names)
  func nothingIsLostUncounted(_ name: String) throws {
    for share in [0.5, 0.6, 1] {
      var session = PairingSession(try PairingRegistry.make(name, settings: ["pairs": "9"]), seed: 2)
      session.filters.gap = .quantile(0.2)
      session.filters.leastConfidence = 0.55
      session.filters.greatestLengthShare = share
      let round = try session.run(on: PairingSessionTests.groups(), judge: .scores(try ScorePreference()))
      let statistics = round.statistics
      #expect(statistics.proposed == statistics.kept + statistics.dropped.values.reduce(0, +))
      #expect(statistics.kept == round.labels.count && statistics.proposed > 0)
    }
  }

  @Test func aTournamentIsJudgedInFullAndFilteredAfterwards() throws {
    var session = PairingSession(try PairingRegistry.make("tournament"), seed: 3)
    session.filters.gap = .absolute(1)
    let groups = PairingSessionTests.groups([8])
    let round = try session.run(on: groups, judge: .function(PairingSessionTests.judge))
    #expect(round.statistics.judged == 7 && round.statistics.proposed == 7)
    #expect(round.labels.count == 7 - (round.statistics.dropped[.gap] ?? 0) && round.labels.count < 7)
    #expect(round.labels.allSatisfy { $0.scores[0] - $0.scores[1] >= 1 })
  }

  // Longer wins in four pairs (least sure: 1, then 3), shorter in two.
  @Test(arguments: [
    (1.0, [0, 1, 2, 3, 4, 5, 6]), (0.6, [0, 2, 3, 4, 5, 6]), (0.5, [0, 2, 4, 5, 6]), (0.7, [0, 1, 2, 3, 4, 5, 6]),
  ])
  func theLongerResponseWinsNoMoreOftenThanAllowed(_ share: Double, _ expected: [Int]) throws {
    let groups = Self.pairs([
      ("aa", "b", [0, 0]), ("aa", "b", [0, 0]), ("aa", "b", [0, 0]), ("b", "aa", [0, 0]), ("b", "aa", [0, 0]),
      ("aa", "b", [0, 0]), ("c", "d", [0, 0]),
    ])
    let q: [Double?] = [0.9, 0.6, 0.95, 0.3, 0.8, 0.1, 0.9]
    let round = try Self.run(groups, saying: q) { $0.greatestLengthShare = share }
    #expect(Self.kept(round) == expected)
    let longer = Double(expected.filter { [0, 1, 2, 3].contains($0) }.count)
    #expect(round.statistics.longerWins == longer / (longer + 2))
    // With the answers turned round it is the shorter ones that win too often.
    let turned = try Self.run(groups, saying: q.map { 1 - $0! }) { $0.greatestLengthShare = share }
    #expect(Self.kept(turned) == expected)
  }

  @Test func filtersOutOfRangeAreFaults() throws {
    let changes: [(inout LabelFilters) -> Void] = [
      { $0.mostPromptsOfAnswer = 0 }, { $0.greatestLengthRatio = 0.5 }, { $0.gap = .absolute(-1) },
      { $0.gap = .quantile(1.5) }, { $0.tieBand = 0.6 }, { $0.leastConfidence = 0.4 }, { $0.greatestLengthShare = 0.2 },
      { $0.gap = .absolute(.nan) }, { $0.greatestLengthRatio = .nan },
    ]
    for change in changes {
      #expect(throws: Fault.self) { try Self.run(Self.five, saying: [1, 1, 1, 1, 1], change) }
    }
  }
}

@Suite struct AnswerReuseTests {
  /// Every prompt is answered by a text of its own and by one that is always the same, which the judge prefers when it
  /// stands first.
  static func round(prompts: Int, _ change: (inout LabelFilters) -> Void = { _ in }) throws -> LabelledRound {
    let groups = (0..<prompts).map { number in
      CandidateGroup(number: number, prompt: "prompt \(number)", texts: ["answer \(number)", "ignore this"])
    }
    var session = PairingSession(try PairingRegistry.make("all_pairs"), seed: 0)
    change(&session.filters)
    // Shown first it wins surely, shown second it loses narrowly: inconsistent, and on balance the winner.
    let judge = DebiasedPreference(
      ScriptedPairs { Judgement(q: $0.first == "ignore this" ? 0.95 : 0.6) }, PositionDebiasing())
    return try session.run(on: groups, judge: .function(judge.judgements))
  }

  @Test func aConstantAnswerIsFound() throws {
    let statistics = try Self.round(prompts: 20).statistics
    let found = try #require(statistics.reusedAnswers.first)
    #expect(statistics.reusedAnswers.count == 1 && found.text == "ignore this" && found.prompts == 20)
    #expect(found.winRate == 1 && found.contradictions == 1)
    #expect(statistics.judge.consistency == 0 && statistics.judge.flipRate == 0.5)
    #expect(statistics.judge.meanPositionBias! > 0)
  }

  @Test func aFewRepetitionsAreNoSuspicion() throws {
    #expect(try Self.round(prompts: 2).statistics.reusedAnswers.isEmpty)
  }

  @Test func aRareTextAmongManyPromptsIsNoSuspicion() throws {
    let groups = (0..<200).map { number in
      CandidateGroup(
        number: number, prompt: "\(number)", texts: ["answer \(number)", number < 3 ? "yes" : "other \(number)"])
    }
    let session = PairingSession(try PairingRegistry.make("all_pairs"), seed: 0)
    let judge: PairJudge = .function { $0.map { _ in Judgement(q: 0.9) } }
    #expect(try session.run(on: groups, judge: judge).statistics.reusedAnswers.isEmpty)
    #expect(
      try session.run(on: Array(groups.prefix(150)), judge: judge).statistics.reusedAnswers.map(\.text) == ["yes"])
  }

  @Test func copiesOfAPromptAreOnePrompt() throws {
    let groups = (0..<10).map { CandidateGroup(number: $0, prompt: "the same", texts: ["yes", "no \($0)"]) }
    let session = PairingSession(try PairingRegistry.make("all_pairs"), seed: 0)
    let round = try session.run(on: groups, judge: .function { $0.map { _ in Judgement(q: 0.9) } })
    #expect(round.statistics.reusedAnswers.isEmpty)
  }

  @Test func reusedAnswersCanBeDroppedBeforeAnyoneIsPaid() throws {
    let round = try Self.round(prompts: 20) { $0.mostPromptsOfAnswer = 5 }
    #expect(round.labels.isEmpty && round.statistics.dropped == [.reusedAnswer: 20] && round.statistics.judged == 0)
    #expect(round.statistics.reusedAnswers.first?.winRate == nil)
  }
}
