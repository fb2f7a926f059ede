import Adaptation
import AlignmentCore
import Foundation
import Testing

/// Answers from a closure, and counts what it was asked.
final class ScriptedPairs: PairwisePreferenceFunction {
  let identity: String
  private let answer: (Comparison) -> Judgement
  private(set) var asked: [Comparison] = []

  init(_ identity: String = "scripted", _ answer: @escaping (Comparison) -> Judgement) {
    self.identity = identity
    self.answer = answer
  }

  func judgements(of questions: [Comparison]) -> [Judgement] {
    asked += questions
    return questions.map(answer)
  }
}

/// Scores from a closure; nil abstains.
final class ScriptedScores: PointwisePreferenceFunction {
  let identity: String
  private let score: (JudgedResponse) -> Double?
  private(set) var asked: [JudgedResponse] = []

  init(_ identity: String = "scores", _ score: @escaping (JudgedResponse) -> Double?) {
    self.identity = identity
    self.score = score
  }

  func judgements(of questions: [JudgedResponse]) -> [Judgement] {
    asked += questions
    return questions.map { question in
      score(question).map { Judgement(q: logistic($0), scores: [$0]) } ?? Judgement(q: nil)
    }
  }
}

func logistic(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

func paid(_ requests: Int) -> JudgementCost {
  var cost = JudgementCost()
  cost.requests = requests
  return cost
}

@Suite struct PreferenceTests {
  static let logits = [-800.0, -36.5, -20, -3.7, -0.6, -1e-9, 0, 1e-9, 0.1, 0.6, 3.7, 20, 36.5, 800]
  static let ab = Comparison(prompt: "x", first: "a", second: "b")

  @Test func logitsAndProbabilitiesAreInverse() {
    for logit in Self.logits where abs(logit) < 20 {
      let q = PreferenceLogit.probability(logit)
      #expect(abs(q - logistic(logit)) <= 1e-16)
      // Near certainty the logit has the resolution of 1 − q, 2⁻⁵³.
      #expect(abs(PreferenceLogit.logit(q) - logit) <= 1e-12 + 0x1p-53 * exp(abs(logit)))
    }
    #expect(PreferenceLogit.logit(1) == PreferenceLogit.bound && PreferenceLogit.logit(0) == -PreferenceLogit.bound)
  }

  @Test func exchangingResponsesExchangesProbabilitiesExactly() {
    for logit in Self.logits {
      let q = PreferenceLogit.probability(logit)
      #expect(PreferenceLogit.probability(-logit) == 1 - q)
      #expect(PreferenceLogit.logit(1 - q) == -PreferenceLogit.logit(q))
    }
  }

  @Test(arguments: PositionDebiasing.Rule.allCases, [0.5, 1, 2])
  func debiasedPreferencesAreSymmetricToTheLastBit(_ rule: PositionDebiasing.Rule, _ temperature: Double) throws {
    let debiasing = PositionDebiasing(rule: rule, temperature: temperature)
    for forward in Self.logits {
      for backward in Self.logits {
        let (a, b) = (Judgement(q: logistic(forward)), Judgement(q: logistic(backward)))
        let one = debiasing.judgement(a, b)
        let other = debiasing.judgement(b, a)
        #expect(try #require(one.q) == 1 - #require(other.q), "\(forward) \(backward)")
        #expect(one.positionBias == other.positionBias && one.isConsistent == other.isConsistent)
        #expect(debiasing.q(forward, backward) == 1 - debiasing.q(backward, forward))
      }
    }
  }

  @Test func aBiasThatIsAddedToTheLogitIsTakenOut() throws {
    let (preference, bias) = (0.8, 1.5)
    let judge = ScriptedPairs { Judgement(q: logistic(($0.first == "a" ? preference : -preference) + bias)) }
    for (comparison, expected) in [(Self.ab, preference), (Self.ab.swapped, -preference)] {
      let found = try DebiasedPreference(judge, PositionDebiasing(temperature: 2)).judgements(of: [comparison])[0]
      #expect(abs(try #require(found.q) - logistic(expected / 2)) < 1e-14)
      #expect(abs(try #require(found.positionBias) - bias) < 1e-14)
      #expect(found.isConsistent == false)
    }
  }

  @Test func aMeanOfProbabilitiesIsTheMean() throws {
    let found = PositionDebiasing(rule: .probabilities).judgement(Judgement(q: 0.9), Judgement(q: 0.3))
    #expect(abs(try #require(found.q) - 0.8) < 1e-15)
    #expect(found.isConsistent == true)
  }

  // The answers are those for what is shown first; the third number is what is said of A.
  @Test(arguments: [
    (1.0, 0.0, 1.0), (0, 1, 0), (1, 1, 0.5), (0, 0, 0.5), (0.5, 0.5, 0.5), (0.5, 0, 0.5), (0.9, 0.2, 1), (1, 0.5, 0.5),
  ])
  func verdictsAgreeOrTie(_ forward: Double, _ backward: Double, _ expected: Double) {
    let answers = (Judgement(q: forward), Judgement(q: backward))
    let found = PositionDebiasing(rule: .verdicts).judgement(answers.0, answers.1)
    #expect(found.q == expected && found.positionBias == nil)
    let agree: Bool = (forward > 0.5 && backward < 0.5) || (forward < 0.5 && backward > 0.5)
    #expect(found.isConsistent == (agree || (forward == 0.5 && backward == 0.5)))
    let strict = PositionDebiasing(rule: .verdicts, contradiction: .abstain).judgement(answers.0, answers.1)
    #expect(strict.q == (found.isConsistent == true ? expected : nil))
  }

  @Test(arguments: PositionDebiasing.Rule.allCases)
  func oneOrderWithoutAnAnswerAbstainsButIsPaid(_ rule: PositionDebiasing.Rule) {
    let answers = (Judgement(q: 0.9, raw: ["A"], cost: paid(2)), Judgement(q: nil, raw: ["?"], cost: paid(1)))
    let found = PositionDebiasing(rule: rule).judgement(answers.0, answers.1)
    #expect(found.q == nil && found.isConsistent == nil && found.positionBias == nil)
    #expect(found.raw == ["A", "?"] && found.cost == paid(3))
  }

  @Test func anOptionThatIsMissingInBothOrdersIsOnlyBias() {
    let found = PositionDebiasing().judgement(Judgement(q: 1), Judgement(q: 1))
    #expect(found.q == 0.5 && found.positionBias == PreferenceLogit.bound)
  }

  @Test func scoresOfBothOrdersAreAveragedResponseByResponse() {
    let found = PositionDebiasing().judgement(Judgement(q: 0.7, scores: [8, 6]), Judgement(q: 0.4, scores: [5, 7]))
    #expect(found.scores == [7.5, 5.5])
  }

  @Test func scoresAreComparedAsBradleyAndTerryDo() throws {
    let preference = try ScorePreference(temperature: 2)
    for (first, second) in [(1.0, 0.0), (-3, 4), (0.1, 0.2), (900, -900)] {
      let found = try preference.judgement(first, second)
      #expect(abs(try #require(found.q) - logistic((first - second) / 2)) < 1e-15 && found.scores == [first, second])
      #expect(try preference.judgement(second, first).q == found.q.map { 1 - $0 })
    }
    #expect(throws: Fault.self) { try preference.judgement(.nan, 0) }
    #expect(throws: Fault.self) { try preference.judgement(.infinity, .infinity) }
    #expect(throws: Fault.self) { try ScorePreference(temperature: 0) }
  }

  @Test func eachResponseIsScoredOnce() throws {
    let scores = ScriptedScores { ["a": 2, "b": -1, "c": nil][$0.response]! }
    let function = ComparedScores(scores, try ScorePreference())
    let comparisons = [
      Self.ab, Self.ab.swapped, Comparison(prompt: "x", first: "a", second: "c"),
      Comparison(prompt: "y", first: "b", second: "a"),
    ]
    let found = try function.judgements(of: comparisons)
    #expect(scores.asked.map { $0.prompt + $0.response } == ["xa", "xb", "xc", "yb", "ya"])
    #expect(found[2].q == nil)
    for (place, logit) in [(0, 3.0), (1, -3), (3, -3)] {
      #expect(abs(try #require(found[place].q) - logistic(logit)) < 1e-15)
    }
  }

  @Test(arguments: [
    ("0.5", [0.5, 0.5, 0.5]), ("mean", [1.8, 1.8, 1.8]), ("median", [1, 1, 1]), ("prompt_mean", [1, 3, 0]),
  ])
  func thresholdsAreAsNamed(_ name: String, _ expected: [Double]) throws {
    let scores: [[Double]] = [[0, 1, 2], [1, 5], []]
    let threshold = try DesirabilityThreshold(name)
    #expect(zip(threshold.values(for: scores), expected).allSatisfy { abs($0 - $1) < 1e-15 })
    let judgements = threshold.judgements(of: scores, temperature: 2)
    #expect(judgements.map(\.count) == [3, 2, 0])
    for (group, threshold) in zip(zip(scores, judgements), threshold.values(for: scores)) {
      for (score, judgement) in zip(group.0, group.1) {
        #expect(abs(judgement.q! - logistic((score - threshold) / 2)) < 1e-15 && judgement.scores == [score])
        #expect((judgement.q! >= 0.5) == (score >= threshold))
      }
    }
  }

  @Test func medianOfEvenNumbersIsBetweenTheMiddle() throws {
    #expect(DesirabilityThreshold.median.values(for: [[4, 1], [2, 9]]) == [3, 3])
    for text in ["best", "nan", "inf", ""] { #expect(throws: Fault.self) { try DesirabilityThreshold(text) } }
  }

  @Test func offlineLabelsAreKnownInBothOrders() {
    let other = Comparison(prompt: "y", first: "c", second: "d")
    let labels = OfflinePreference([(Self.ab, 1), (other, 1), (other, 1), (other.swapped, 0.5)])
    let asked = [Self.ab, Self.ab.swapped, other, other.swapped, Comparison(prompt: "z", first: "a", second: "b")]
    let mean = (1 + 1 + 0.5) / 3.0
    let expected: [Double?] = [1, 0, mean, 1 - mean, nil]
    #expect(labels.judgements(of: asked).map(\.q) == expected)
    let single = OfflinePreference([(JudgedResponse(prompt: "x", response: "a"), 1.0)])
    #expect(single.judgements(of: [JudgedResponse(prompt: "x", response: "a")]).map(\.q) == [1])
  }

  @Test(arguments: [0.1, 0.5, 0.85])
  func offlineDrawsArePositiveWithTheGivenProbability(_ fraction: Double) throws {
    let draw = try OfflineDraw(positiveFraction: fraction, seed: 11)
    let count = 20_000
    let positive = Double((0..<count).count { draw.takesChosen(example: $0) })
    let expected = fraction * Double(count)
    #expect(
      chiSquare([positive, Double(count) - positive], [expected, Double(count) - expected])
        < chiSquareLimit(freedom: 1))
  }

  @Test func offlineDrawsBelongToTheExample() throws {
    let draw = try OfflineDraw(positiveFraction: 0.5, seed: 1)
    let all = (0..<200).map { draw.takesChosen(example: $0) }
    #expect(all == (0..<200).reversed().map { draw.takesChosen(example: $0) }.reversed())
    let other = try OfflineDraw(positiveFraction: 0.5, seed: 2)
    #expect(all != (0..<200).map { other.takesChosen(example: $0) })
    for (fraction, expected) in [(0.0, false), (1, true)] {
      let draw = try OfflineDraw(positiveFraction: fraction, seed: 1)
      #expect((0..<500).allSatisfy { draw.takesChosen(example: $0) == expected })
    }
    #expect(throws: Fault.self) { try OfflineDraw(positiveFraction: 1.5, seed: 1) }
  }

  @Test func calibrationDividesLogits() throws {
    let judge = ScriptedPairs { _ in Judgement(q: logistic(3), scores: [4, 1]) }
    let found = try judge.calibrated(temperature: 2).judgements(of: [Self.ab])[0]
    #expect(abs(try #require(found.q) - logistic(1.5)) < 1e-14 && found.scores == [4, 1])
    let silent = try ScriptedScores { _ in nil }.calibrated(temperature: 2)
    #expect(try silent.judgements(of: [JudgedResponse(prompt: "", response: "")])[0].q == nil)
    #expect(throws: Fault.self) { try judge.calibrated(temperature: -1) }
  }

  @Test func thresholdsAbstainOnBothSides() throws {
    let answers = ["a": 0.7, "b": 0.3, "c": 0.69, "d": 0.31, "e": 0.5]
    let judge = try ScriptedPairs { Judgement(q: answers[$0.first]) }.abstaining(below: 0.7)
    let asked = "abcde".map { Comparison(prompt: "", first: "\($0)", second: "z") }
    #expect(try judge.judgements(of: asked).map(\.q) == [0.7, 0.3, nil, nil, nil])
    #expect(throws: Fault.self) { try judge.abstaining(below: 0.3) }
  }
}

@Suite struct EnsembleTests {
  static func responses(_ texts: String, prompt: String = "x") -> [JudgedResponse] {
    texts.map { JudgedResponse(prompt: prompt, response: "\($0)") }
  }

  // Centred: [1, −1] and [3, −3] for x, [0.5, −0.5] and [−2, 2] for y.
  static var members: [ScriptedScores] {
    [
      ScriptedScores("one") { ["xa": 11, "xb": 9, "ya": 0.5, "yb": -0.5][$0.prompt + $0.response]! },
      ScriptedScores("two") { ["xa": -4, "xb": -10, "ya": 0, "yb": 4][$0.prompt + $0.response]! },
    ]
  }

  @Test(arguments: [
    (EnsembleReduction.mean, [2.0, -2, -0.75, 0.75]),
    (.minimum, [1, -3, -2, -0.5]),
    (.lowerConfidenceBound(lambda: 2), [0, -4, -3.25, -1.75]),
  ])
  func scoresAreCentredOnThePromptAndThenCombined(_ reduction: EnsembleReduction, _ expected: [Double]) throws {
    let ensemble = PointwiseEnsemble(Self.members, reduction)
    let questions = Self.responses("ab") + Self.responses("ab", prompt: "y")
    let found = try ensemble.judgements(of: questions)
    #expect(zip(found, expected).allSatisfy { abs($0.scores[0] - $1) < 1e-12 })
    #expect(zip(found, expected).allSatisfy { abs($0.q! - logistic($1)) < 1e-12 })
  }

  @Test func offsetsOfPromptsAreNoOpinion() throws {
    let shifted = ScriptedScores { 100 * Double($0.prompt.count) + ["a": 1, "b": 0][$0.response]! }
    let plain = ScriptedScores { ["a": 1, "b": 0][$0.response]! }
    let questions = Self.responses("ab") + Self.responses("ab", prompt: "longer")
    let found = try [shifted, plain].map { try PointwiseEnsemble([$0], .mean).judgements(of: questions).map(\.scores) }
    #expect(found[0] == found[1])
  }

  @Test func aMemberThatAbstainsIsNotOutvoted() throws {
    let silent = ScriptedScores { $0.response == "a" ? nil : 1 }
    let found = try PointwiseEnsemble([Self.members[0], silent], .mean).judgements(of: Self.responses("ab"))
    #expect(found[0].q == nil && found[0].scores.isEmpty && found[1].q != nil)
    let pairs = PairwiseEnsemble(
      [ScriptedPairs { _ in Judgement(q: nil) }, ScriptedPairs { _ in Judgement(q: 1) }], .mean)
    #expect(try pairs.judgements(of: [PreferenceTests.ab])[0].q == nil)
  }

  // Two members' logits and what the ensemble makes of them.
  @Test(arguments: [
    (EnsembleReduction.mean, 3.0, 1.0, 2.0), (.mean, 3, -1, 1), (.minimum, 3, 1, 1), (.minimum, -3, -1, -1),
    (.minimum, 3, -1, 0), (.minimum, -3, 1, 0), (.lowerConfidenceBound(lambda: 1), 3, 1, 1),
    (.lowerConfidenceBound(lambda: 1), -3, -1, -1), (.lowerConfidenceBound(lambda: 3), 3, 1, 0),
  ])
  func cautionMovesPairsTowardsATie(_ reduction: EnsembleReduction, _ one: Double, _ two: Double, _ expected: Double)
    throws
  {
    let members = [one, two].map { logit in
      ScriptedPairs { Judgement(q: PreferenceLogit.probability($0.first == "a" ? logit : -logit)) }
    }
    let ensemble = PairwiseEnsemble(members, reduction)
    let found = try ensemble.judgements(of: [PreferenceTests.ab, PreferenceTests.ab.swapped]).map { try #require($0.q) }
    #expect(abs(found[0] - logistic(expected)) < 1e-14)
    #expect(found[0] == 1 - found[1])
  }
}

@Suite struct CachedPreferenceTests {
  static let ab = PreferenceTests.ab
  static let cd = Comparison(prompt: "x", first: "c", second: "d")

  static func judge(_ identity: String = "judge") -> ScriptedPairs {
    ScriptedPairs(identity) { Judgement(q: ["a": 0.9, "b": 0.25, "c": 0.5][$0.first], raw: [$0.first], cost: paid(1)) }
  }

  @Test func onlyWhatIsNewIsAsked() throws {
    let (judge, store) = (Self.judge(), MemoryJudgementStore())
    let cached = CachedPreference(judge, in: store)
    let first = try cached.judgements(of: [Self.ab, Self.cd, Self.ab, Self.ab.swapped])
    #expect(judge.asked == [Self.ab, Self.cd, Self.ab.swapped])
    #expect(first.map(\.q) == [0.9, 0.5, 0.9, 0.25])
    #expect(first.map(\.cost.requests) == [1, 1, 0, 1])
    let again = try CachedPreference(judge, in: store).judgements(of: [Self.cd, Self.ab])
    #expect(judge.asked.count == 3)
    #expect(again.map(\.q) == [0.5, 0.9] && again.allSatisfy { $0.cost == JudgementCost() })
    #expect(again.map(\.raw) == [["c"], ["a"]])
  }

  @Test func symmetricJudgesAreAskedInOneOrder() throws {
    let judge = Self.judge()
    let cached = CachedPreference(judge, isSymmetric: true)
    let found = try cached.judgements(of: [Self.ab.swapped, Self.ab, Self.cd])
    #expect(judge.asked == [Self.ab, Self.cd])
    #expect(found.map(\.q) == [1 - 0.9, 0.9, 0.5] && found.map(\.cost.requests) == [1, 0, 1])
    #expect(try cached.judgements(of: [Self.ab.swapped])[0].q == 1 - 0.9)
  }

  @Test func abstentionsAreKeptToo() throws {
    let judge = ScriptedPairs { _ in Judgement(q: nil, cost: paid(1)) }
    let cached = CachedPreference(judge)
    for _ in 0..<2 { #expect(try cached.judgements(of: [Self.ab])[0].q == nil) }
    #expect(judge.asked.count == 1)
  }

  @Test func judgesDoNotShareAnswers() throws {
    let (one, two, store) = (Self.judge("one"), Self.judge("two"), MemoryJudgementStore())
    for judge in [one, two] { _ = try CachedPreference(judge, in: store).judgements(of: [Self.ab]) }
    #expect(one.asked.count == 1 && two.asked.count == 1)
  }

  @Test func keysTellAllTextsApart() {
    let texts = ["", "a", "b", "ab", "a\u{0}b", "\u{e9}", "e\u{301}"]
    var keys: Set<JudgementKey> = []
    var count = 0
    for judge in texts {
      for prompt in texts {
        keys.insert(JudgementKey(judge: judge, question: JudgedResponse(prompt: prompt, response: "ab")))
        keys.insert(JudgementKey(judge: judge, question: Comparison(prompt: prompt, first: "a", second: "b")))
        keys.insert(JudgementKey(judge: judge, question: Comparison(prompt: prompt, first: "b", second: "a")))
        count += 3
      }
    }
    #expect(keys.count == count)
  }

  /// A store that fails must not let an answer be used that was not kept.
  final class BrokenStore: JudgementStore {
    func judgements(for keys: [JudgementKey]) -> [Judgement?] { keys.map { _ in nil } }
    func store(_ judgements: [(key: JudgementKey, judgement: Judgement)]) throws { throw Fault(.unwritable, "full") }
  }

  @Test func answersAreKeptBeforeTheyAreUsed() {
    #expect(throws: Fault.self) { try CachedPreference(Self.judge(), in: BrokenStore()).judgements(of: [Self.ab]) }
  }
}

@Suite struct LabelNoiseTests {
  @Test(arguments: [0.0, 0.05, 0.2, 0.35, 0.5])
  func flipRatesFollowFromAgreement(_ rate: Double) {
    let agreement = rate * rate + (1 - rate) * (1 - rate)
    // At ½ the square root makes 10⁻⁸ of 10⁻¹⁶.
    #expect(abs(LabelNoise.flipRate(agreement: agreement) - rate) < 2e-8)
  }

  @Test func lessThanHalfAgreementIsACoinToss() {
    #expect(LabelNoise.flipRate(agreement: 0.3) == 0.5 && LabelNoise.flipRate(agreement: 1) == 0)
  }

  @Test func theFlipRateOfASimulatedJudgeIsFound() {
    let stream = RandomStream(seed: 5, purpose: .judging)
    let (rate, count) = (0.15, 40_000)
    let agreements = (0..<count).count {
      (stream.uniform(at: 2 * $0) < rate) == (stream.uniform(at: 2 * $0 + 1) < rate)
    }
    let agreement = Double(agreements) / Double(count)
    // Four standard deviations of the agreement, through the derivative 1/(2·(1 − 2ε)) of the estimate.
    let deviation = (agreement * (1 - agreement) / Double(count)).squareRoot() / (2 * (1 - 2 * rate))
    #expect(abs(LabelNoise.flipRate(agreement: agreement) - rate) < 4 * deviation)
  }

  @Test func summariesLeaveOutWhatIsNotKnown() {
    let judgements = [
      Judgement(q: 0.9, positionBias: 1, isConsistent: true, cost: paid(2)),
      Judgement(q: 0.4, positionBias: -0.5, isConsistent: false, cost: paid(2)), Judgement(q: 0.5), Judgement(q: nil),
    ]
    let summary = JudgementSummary(judgements)
    #expect(summary.count == 4 && summary.abstentions == 1 && summary.cost == paid(4))
    #expect(summary.consistency == 0.5 && summary.meanPositionBias == 0.25 && summary.flipRate == 0.5)
    #expect(abs(summary.meanConfidence! - 1.0 / 3) < 1e-15)
    let none = JudgementSummary([])
    #expect(none.meanConfidence == nil && none.consistency == nil && none.flipRate == nil)
  }
}

@Suite struct RandomOrderTests {
  static let comparisons = (0..<4_000).map { Comparison(prompt: "\($0)", first: "good", second: "bad") }

  @Test func bothOrdersAreShownEquallyOften() throws {
    let judge = ScriptedPairs { _ in Judgement(q: 0.5) }
    _ = try RandomOrderPreference(judge).judgements(of: Self.comparisons)
    let straight = Double(judge.asked.count { $0.first == "good" })
    #expect(chiSquare([straight, 4_000 - straight], [2_000, 2_000]) < chiSquareLimit(freedom: 1))
  }

  @Test func theOrderInWhichAQuestionArrivesDoesNotMatter() throws {
    let judge = ScriptedPairs { Judgement(q: $0.first == "good" ? 0.83 : 0.41) }
    let straight = try RandomOrderPreference(judge).judgements(of: Self.comparisons)
    let shown = judge.asked
    let swapped = try RandomOrderPreference(judge).judgements(of: Self.comparisons.map(\.swapped))
    #expect(Array(judge.asked.dropFirst(shown.count)) == shown)
    #expect(zip(straight, swapped).allSatisfy { $0.q! == 1 - $1.q! && $1.q! == 1 - $0.q! })
    // Shown first or not, what is said is about the same response.
    #expect(zip(straight, shown).allSatisfy { abs($0.q! - ($1.first == "good" ? 0.83 : 0.59)) < 1e-15 })
  }
}
