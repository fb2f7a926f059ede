import Adaptation
import AlignmentCore
import Testing

/// Laws of all pairing schemes, and what each of them chooses.
@Suite struct PairingTests {
  static let sizes = [0, 1, 2, 3, 5, 8]

  enum Scores: CaseIterable {
    case distinct, tied, equal

    func values(_ count: Int, number: Int) -> [Double] {
      let stream = RandomStream(seed: 40, purpose: .sampling, number)
      return switch self {
      case .distinct: (0..<count).map(stream.normal)
      case .tied: (0..<count).map { Double(stream.integer(below: 3, at: $0)) }
      case .equal: [Double](repeating: 0.5, count: count)
      }
    }
  }

  static func group(_ count: Int, _ scores: Scores = .distinct, number: Int = 0) -> CandidateGroup {
    CandidateGroup(
      number: number, texts: (0..<count).map { "\(number): \($0)" }, scores: scores.values(count, number: number))
  }

  /// All rounds of a scheme, judged by scores.
  static func pairs(_ scheme: any PairingScheme, of group: CandidateGroup, seed: UInt64 = 1) -> [CandidatePair] {
    let stream = RandomStream(seed: seed, purpose: .pairing, group.number)
    var judged: [JudgedPair] = []
    for round in 0... {
      let pairs = scheme.pairs(round: round, of: group, judged: judged, stream)
      guard !pairs.isEmpty else { break }
      judged += pairs.map { pair in
        let gap = pair.second.map { group.scores[pair.first] - group.scores[$0] }
        return JudgedPair(pair: pair, judgement: Judgement(q: gap.map { $0 > 0 ? 1 : $0 < 0 ? 0 : 0.5 }))
      }
    }
    return judged.map(\.pair)
  }

  static func allPairs(of size: Int) -> [CandidatePair] {
    (0..<size).flatMap { first in (first..<size).dropFirst().map { CandidatePair(first, $0) } }
  }

  static func make(_ name: String, _ settings: [String: String] = [:]) throws -> any PairingScheme {
    try PairingRegistry.make(name, settings: settings)
  }

  @Test(arguments: PairingRegistry.names, sizes)
  func pairsAreOfTwoResponsesAndNoneComesTwice(_ name: String, _ size: Int) throws {
    for scores in Scores.allCases {
      for settings in [[:], ["pairs": "4", "least_gap": "0.5"]] {
        let pairs = Self.pairs(try Self.make(name, settings), of: Self.group(size, scores))
        for pair in pairs {
          #expect((0..<size).contains(pair.first) && pair.second.map((0..<size).contains) ?? true)
          #expect(pair.first != pair.second)
          #expect(pair.weight > 0 && pair.weight <= 1)
        }
        #expect(Set(pairs.map { Set([$0.first, $0.second ?? -1]) }).count == pairs.count)
        if size < 2 { #expect(pairs.allSatisfy { $0.second == nil }) }
      }
    }
  }

  @Test(arguments: PairingRegistry.names, sizes)
  func pairsAreAFunctionOfGroupAndSeed(_ name: String, _ size: Int) throws {
    let scheme = try Self.make(name, ["pairs": "2"])
    let group = Self.group(size, number: 7)
    #expect(Self.pairs(scheme, of: group) == Self.pairs(scheme, of: group))
  }

  @Test(arguments: ["first_round", "tournament", "random", "best_random"])
  func randomSchemesFollowTheStream(_ name: String) throws {
    let scheme = try Self.make(name)
    let variants = Set((0..<20).map { "\(Self.pairs(scheme, of: Self.group(8), seed: UInt64($0)))" })
    #expect(variants.count > 1)
  }

  @Test(arguments: sizes)
  func firstRoundIsAPerfectMatching(_ size: Int) throws {
    let pairs = Self.pairs(try Self.make("first_round"), of: Self.group(size))
    #expect(pairs.count == size / 2)
    #expect(Set(pairs.flatMap { [$0.first, $0.second!] }).count == size / 2 * 2)
  }

  @Test func firstRoundMatchesAnyTwoEquallyOften() throws {
    let scheme = try Self.make("first_round")
    var counts: [Set<Int>: Int] = [:]
    for number in 0..<6_000 {
      for pair in Self.pairs(scheme, of: Self.group(4, .equal, number: number)) {
        counts[[pair.first, pair.second!], default: 0] += 1
      }
    }
    #expect(counts.count == 6)
    // The two pairs of a matching come together, so only three counts are free; each matching has the probability 1/3.
    #expect(
      chiSquare(counts.values.map(Double.init), counts.values.map { _ in 2_000.0 }) / 2 < chiSquareLimit(freedom: 2))
  }

  @Test(arguments: sizes)
  func tournamentsHaveOneGameLessThanEntrantsAndTheBestOneWins(_ size: Int) throws {
    let group = Self.group(size)
    let games = Self.pairs(try Self.make("tournament"), of: group)
    #expect(games.count == max(0, size - 1))
    guard let final = games.last, let best = group.texts.indices.max(by: { group.scores[$0] < group.scores[$1] }) else {
      return
    }
    #expect(final.first == best || final.second == best)
    // Everybody but the winner loses exactly once.
    let losers = games.map { group.scores[$0.first] > group.scores[$0.second!] ? $0.second! : $0.first }
    #expect(Set(losers) == Set(0..<size).subtracting([best]))
  }

  @Test func nobodySitsOutTwiceInARow() throws {
    let scheme = try Self.make("tournament")
    for number in 0..<50 {
      let group = Self.group(5, number: number)
      let games = Self.pairs(scheme, of: group)
      let seated = Set(games.prefix(2).flatMap { [$0.first, $0.second!] })
      let resting = Set(0..<5).subtracting(seated)
      #expect(resting.count == 1 && resting.isSubset(of: [games[2].first, games[2].second!]))
    }
  }

  @Test func abstentionsDoNotStopATournament() throws {
    let scheme = try Self.make("tournament")
    let group = Self.group(8)
    let stream = RandomStream(seed: 2, purpose: .pairing)
    var judged: [JudgedPair] = []
    for round in 0..<4 {
      judged += scheme.pairs(round: round, of: group, judged: judged, stream).map {
        JudgedPair(pair: $0, judgement: Judgement(q: nil))
      }
    }
    #expect(judged.count == 7)
  }

  @Test func bestAndWorstAreFoundByScore() throws {
    let group = CandidateGroup(number: 0, texts: ["a", "b", "c", "d"], scores: [0.5, 3, -2, 1])
    #expect(Self.pairs(try Self.make("max_min"), of: group) == [CandidatePair(1, 2)])
    #expect(Self.pairs(try Self.make("best_of_n"), of: group) == [CandidatePair(1, nil)])
    let others = Set(
      try (0..<100).flatMap { seed in
        Self.pairs(try Self.make("best_random"), of: group, seed: seed).map { pair in
          #expect(pair.first == 1)
          return pair.second!
        }
      })
    #expect(others == [0, 2, 3])
  }

  // Gaps: 1–0 2.5, 3–0 0.5, 0–2 2.5, 1–3 2, 1–2 5, 3–2 3.
  @Test(arguments: [("0", 3, 0), ("0.5", 3, 0), ("0.6", 1, 3), ("2.6", 3, 2), ("4", 1, 2)])
  func minimumGapTakesTheSmallestThatClears(_ gap: String, _ first: Int, _ second: Int) throws {
    let group = CandidateGroup(number: 0, texts: ["a", "b", "c", "d"], scores: [0.5, 3, -2, 1])
    #expect(Self.pairs(try Self.make("min_gap", ["least_gap": gap]), of: group) == [CandidatePair(first, second)])
    #expect(Self.pairs(try Self.make("min_gap", ["least_gap": "5.5"]), of: group).isEmpty)
  }

  @Test(arguments: sizes)
  func minimumGapAgreesWithASearchOverAllPairs(_ size: Int) throws {
    let scheme = try Self.make("min_gap", ["least_gap": "0.3"])
    for number in 0..<20 {
      let group = Self.group(size, number: number)
      let gaps = Self.allPairs(of: size).map { abs(group.scores[$0.first] - group.scores[$0.second!]) }
      let found = Self.pairs(scheme, of: group).map { group.scores[$0.first] - group.scores[$0.second!] }
      #expect(found == gaps.filter { $0 >= 0.3 }.min().map { [$0] } ?? [])
    }
  }

  @Test(arguments: sizes)
  func allPairsWeighAPromptAsAMatchingDoes(_ size: Int) throws {
    let pairs = Self.pairs(try Self.make("all_pairs"), of: Self.group(size))
    #expect(pairs.count == size * (size - 1) / 2 || size < 2 && pairs.isEmpty)
    #expect(abs(pairs.reduce(0) { $0 + $1.weight } - (size < 2 ? 0 : Double(size) / 2)) < 1e-12)
  }

  @Test func randomPairsAreEquallyLikely() throws {
    let scheme = try Self.make("random", ["pairs": "2"])
    var counts = [Double](repeating: 0, count: 10)
    let all = Self.allPairs(of: 5)
    for number in 0..<5_000 {
      for pair in Self.pairs(scheme, of: Self.group(5, .equal, number: number)) {
        counts[all.firstIndex(of: pair)!] += 1
      }
    }
    #expect(counts.reduce(0, +) == 10_000)
    #expect(chiSquare(counts, counts.map { _ in 1_000 }) < chiSquareLimit(freedom: 9))
    #expect(Self.pairs(try Self.make("random", ["pairs": "99"]), of: Self.group(4)).count == 6)
  }

  @Test func unknownNamesAndOptionsAreFaults() {
    #expect(throws: Fault.self) { try Self.make("bracket") }
    #expect(throws: Fault.self) { try Self.make("random", ["rounds": "1"]) }
    #expect(throws: Fault.self) { try Self.make("random", ["pairs": "0"]) }
    #expect(throws: Never.self) { try Self.make("max_min", ["pairs": "3"]) }
  }
}

/// Σ (observed − expected)²/expected
func chiSquare(_ observed: [Double], _ expected: [Double]) -> Double {
  zip(observed, expected).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) / $1.1 }
}

/// A value that a chi-square statistic exceeds about once in 3 · 10⁴ times: the cube of a normal quantile of 4 (Wilson
/// and Hilferty 1931).
func chiSquareLimit(freedom: Double) -> Double {
  let spread = 2 / (9 * freedom)
  let root = 1 - spread + 4 * spread.squareRoot()
  return freedom * root * root * root
}
