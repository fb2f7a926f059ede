import SyntheticWorld
import Testing

#if canImport(Glibc)
  import Glibc
#endif

/// What the generators do on average; everything is deterministic, the bounds say what users of the world rely on.
@Suite("Synthetic domains")
struct DomainTests {
  private static let promptCount = 1000

  private let world = SyntheticWorld(seed: 0)

  private func features(of domain: SyntheticWorld.Domain, sample: Int = 0) -> [RewardFeatures] {
    (0..<Self.promptCount).map { index in
      let prompt = world.prompt(index, split: .heldOut, domain: domain)
      let response = world.response(to: prompt, index: index, sample: sample, split: .heldOut, domain: domain)
      return RewardFeatures(prompt: prompt, response: response)
    }
  }

  private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }

  private func covariance(_ a: [Double], _ b: [Double]) -> Double { mean(zip(a, b).map(*)) - mean(a) * mean(b) }

  private func correlation(_ a: [Double], _ b: [Double]) -> Double {
    covariance(a, b) / (covariance(a, a) * covariance(b, b)).squareRoot()
  }

  @Test(arguments: SyntheticWorld.Domain.allCases)
  func rewardsSpread(domain: SyntheticWorld.Domain) {
    let rewards = features(of: domain).map(\.reward)
    #expect((0.9...1.5).contains(covariance(rewards, rewards).squareRoot()))
    #expect((1...2.3).contains(mean(rewards)))
    #expect(Set(rewards).count > 50)
  }

  @Test(arguments: SyntheticWorld.Domain.allCases)
  func bestOfSixteenIsFarAboveTheMean(domain: SyntheticWorld.Domain) {
    let samples = (0..<16).map { features(of: domain, sample: $0).map(\.reward) }
    let best = (0..<Self.promptCount).map { index in samples.map { $0[index] }.max() ?? 0 }
    #expect(mean(best) - mean(samples.flatMap { $0 }) > 1.5)
    // There is room above: the best response to most prompts is worth 5.
    #expect(mean(best) < 4)
  }

  @Test func featuresDifferInFrequency() {
    let source = features(of: .source)
    let target = features(of: .target)
    func shift(_ feature: (RewardFeatures) -> Double) -> Double {
      mean(target.map(feature)) - mean(source.map(feature))
    }
    #expect(shift { Double($0.mentions) } > 0.4)
    #expect(shift { $0.isCourteous ? 1 : 0 } > 0.25)
    #expect(shift { Double($0.praise) } > 0.3)
    #expect(shift { Double($0.repetitions) } > 0.4)
    #expect(shift { Double($0.unknownWords) } < -0.05)
    #expect(shift { Double($0.length) } > 3)
  }

  @Test func differentFeaturesSeparateGoodFromBad() {
    let source = features(of: .source)
    let target = features(of: .target)
    func correlations(_ feature: (RewardFeatures) -> Double) -> (source: Double, target: Double) {
      (correlation(source.map(feature), source.map(\.reward)), correlation(target.map(feature), target.map(\.reward)))
    }
    let length = correlations { Double($0.length) }
    #expect(length.source > 0.4 && length.target < -0.25)
    let mentions = correlations { Double($0.mentions) }
    #expect(mentions.source > 0.7 && mentions.target < 0.6)
    let repetitions = correlations { Double($0.repetitions) }
    #expect(abs(repetitions.source) < 0.2 && repetitions.target < -0.5)
  }

  @Test func subjectsShiftMildly() {
    let shares = SyntheticWorld.Domain.allCases.map { domain in
      let prompts = (0..<Self.promptCount).map { world.prompt($0, split: .sft, domain: domain) }
      let early = ["the sea", "the hill", "the road", "the park"]
      return mean(prompts.map { prompt in early.contains { prompt.hasSuffix($0 + "\n") } ? 1 : 0 })
    }
    #expect(abs(shares[0] - 0.6) < 0.05 && abs(shares[1] - 0.4) < 0.05)
  }

  @Test(arguments: SyntheticWorld.Domain.allCases)
  func labelsFollowBradleyAndTerry(domain: SyntheticWorld.Domain) {
    let pairs = (0..<2 * Self.promptCount).map { world.pair($0, split: .preferences, domain: domain) }
    for pair in pairs {
      #expect(pair.chosenReward == SyntheticWorld.goldReward(prompt: pair.prompt, response: pair.chosen))
      #expect(pair.rejectedReward == SyntheticWorld.goldReward(prompt: pair.prompt, response: pair.rejected))
    }
    let agreement = mean(pairs.map { $0.chosenReward > $0.rejectedReward ? 1 : 0 })
    #expect((0.7...0.95).contains(agreement))
    // Among pairs of similar difference, the better one wins as often as the model says; bounds of four deviations.
    for bin in 0..<4 {
      let range = Double(bin) * 0.5 + 0.01..<Double(bin + 1) * 0.5 + 0.01
      let differences = pairs.map { $0.chosenReward - $0.rejectedReward }.filter { range.contains(abs($0)) }
      let wins = differences.map { 1 / (1 + exp(-abs($0) / SyntheticWorld.labelTemperature)) }
      let deviation = (wins.map { $0 * (1 - $0) }.reduce(0, +)).squareRoot()
      let observed = Double(differences.count { $0 > 0 })
      #expect(abs(observed - wins.reduce(0, +)) < 4 * deviation, "\(differences.count) pairs in \(range)")
      #expect(differences.count > 100)
    }
  }

  @Test func pairsAreNotOrderedBySample() {
    // The first draw is chosen in about half of the pairs.
    let firstIsChosen = (0..<Self.promptCount).map { index -> Double in
      let pair = world.pair(index, split: .preferences, domain: .target)
      let first = world.response(to: pair.prompt, index: index, sample: 0, split: .preferences, domain: .target)
      return pair.chosen == first ? 1 : 0
    }
    #expect(abs(mean(firstIsChosen) - 0.5) < 0.05)
  }
}
