import AlignmentCore
import ShiftExperiments
import Testing

#if canImport(Glibc)
  import Glibc
#endif

@Suite("Markov world")
struct MarkovWorldTests {
  private static let tiny = MarkovRegime(name: "tiny", length: 3, shift: 0.7)
  /// All texts of three tokens.
  private static let allTexts = MarkovTexts(
    length: 3, tokens: (0..<512).flatMap { (text: Int) -> [UInt8] in [6, 3, 0].map { UInt8(text >> $0 & 7) } })

  private func sum(_ values: [Double]) -> Double { values.reduce(0, +) }

  @Test func probabilitiesOfAllTextsSumToOne() {
    let world = MarkovWorld(Self.tiny, seed: 3)
    for chain in [world.source, world.target] {
      #expect(abs(sum(chain.logProbabilities(of: Self.allTexts).map { exp($0) }) - 1) < 1e-12)
    }
  }

  @Test func samplesFollowTheProbabilities() {
    let world = MarkovWorld(Self.tiny, seed: 3)
    let count = 100_000
    let texts = world.target.texts(count, length: 3, RandomStream(seed: 1, purpose: .sampling))
    var observed = [Double](repeating: 0, count: 512)
    for text in 0..<count {
      observed[texts.tokens[3 * text..<3 * text + 3].reduce(0) { $0 << 3 | Int($1) }] += 1
    }
    let expected = world.target.logProbabilities(of: Self.allTexts).map { Double(count) * exp($0) }
    let chiSquare = sum(zip(observed, expected).map { ($0 - $1) * ($0 - $1) / $1 })
    // 511 degrees of freedom, deviation √(2·511) = 32; five deviations.
    #expect(abs(chiSquare - 511) < 160)
  }

  @Test func closedFormRatioTurnsTheSourceIntoTheTarget() {
    let world = MarkovWorld(Self.tiny, seed: 3)
    let source = world.source.logProbabilities(of: Self.allTexts)
    let target = world.target.logProbabilities(of: Self.allTexts)
    let rewards = world.rewards(of: Self.allTexts)
    let reweighted = zip(zip(source, target), rewards).map { (logs: (Double, Double), reward: Double) -> Double in
      exp(logs.0) * exp(logs.1 - logs.0) * reward
    }
    #expect(abs(sum(reweighted) - sum(zip(target, rewards).map { exp($0) * $1 })) < 1e-12)
  }

  @Test func rewardIsLinearInTheCompleteFeatures() {
    // The complete class fits the probabilities of the reward exactly, the others do not.
    let pairs = MarkovWorld(MarkovRegime.all[1], seed: 5).targetPairs(2000)
    let targets = pairs.rewardGaps.map { 1 / (1 + exp(-$0)) }
    func error(_ features: MarkovRewardClass) -> Double {
      let gaps = features.gaps(of: pairs)
      let model = LinearRewardModel(fitting: ComparisonRows(gaps, targets: targets), ridge: 1e-9)
      return zip(model.scores(gaps), pairs.rewardGaps).map { abs($0 - $1) }.max() ?? .infinity
    }
    #expect(error(.complete) < 1e-5)
    #expect(error(.bigrams) > 0.5)
    #expect(error(.unigrams) > 0.5)
  }

  @Test func tokenZeroIsGoodUntilItIsFrequent() {
    // Texts of 12 tokens whose last ones are 0: three are below 30 %, all twelve far above.
    let regime = MarkovRegime.all[0]
    let texts = MarkovTexts(
      length: 12, tokens: [0, 3, 12].flatMap { zeros in (0..<12).map { $0 < 12 - zeros ? 1 : 0 } })
    let rewards = (0..<40).map { MarkovWorld(regime, seed: UInt64($0)).rewards(of: texts) }
    func mean(_ place: Int) -> Double { sum(rewards.map { $0[place] }) / 40 }
    #expect(mean(1) > mean(0) + 0.5)
    #expect(mean(2) < mean(1) - 3)
  }

  @Test func shiftGrowsWithStrengthAndLength() {
    // KL per text, averaged over seeds: about four times as large for twice the shift, and in proportion to length.
    let divergences = MarkovRegime.all.map { regime in
      (0..<24).map { seed in
        let world = MarkovWorld(regime, seed: UInt64(seed))
        let texts = world.targetPairs(500).texts
        return sum(
          zip(world.target.logProbabilities(of: texts), world.source.logProbabilities(of: texts)).map { $0 - $1 })
          / 1000
      }
    }.map { sum($0) / 24 }
    #expect((0.5...1).contains(divergences[0]))
    #expect((3.2...4.5).contains(divergences[1] / divergences[0]))
    #expect((2.3...3).contains(divergences[2] / divergences[0]))
    #expect((2.3...3).contains(divergences[3] / divergences[1]))
  }

  @Test func judgesErrAsOftenAsTheySay() {
    let pairs = MarkovWorld(MarkovRegime.all[0], seed: 2).targetPairs(4000)
    let verdicts = pairs.verdicts(errorRate: 0.1, RandomStream(seed: 2, purpose: .judging))
    let errors = zip(verdicts, pairs.rewardGaps).count { ($0 == 1) != ($1 > 0) }
    // 400 expected, deviation 19.
    #expect(abs(errors - 400) < 95)
  }
}
