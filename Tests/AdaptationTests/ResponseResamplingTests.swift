import Adaptation
import AlignmentCore
import Foundation
import Testing

@Suite struct ResponseResamplingTests {
  static let scores = [0.3, 1.1, -0.4, 1.0, 0.6]

  static func group(_ scores: [Double] = scores, texts: [String]? = nil, number: Int = 0) -> CandidateGroup {
    CandidateGroup(number: number, texts: texts ?? scores.indices.map { "response \($0)" }, scores: scores)
  }

  static func accepted(
    _ count: Int, at temperature: Double, of group: CandidateGroup, seed: UInt64 = 3, mergesDuplicates: Bool = true
  ) throws -> [ResponseResampling.Acceptance] {
    try ResponseResampling(count: count, temperature: temperature, mergesDuplicates: mergesDuplicates)
      .accepted(from: group, RandomStream(seed: seed, purpose: .resampling, group.number))
  }

  @Test(arguments: [0.2, 0.5, 2])
  func theFirstSweepAcceptsWithTheProbabilityOfTheRatio(_ temperature: Double) throws {
    let trials = 20_000
    var counts = [Double](repeating: 0, count: Self.scores.count)
    for number in 0..<trials {
      for one in try Self.accepted(5, at: temperature, of: Self.group(number: number)) where one.sweep == 0 {
        counts[one.place] += 1
      }
    }
    for (place, score) in Self.scores.enumerated() {
      let expected = Double(trials) * exp((score - 1.1) / temperature)
      guard place != 1 else {
        #expect(counts[place] == Double(trials))
        continue
      }
      let statistic = chiSquare(
        [counts[place], Double(trials) - counts[place]], [expected, Double(trials) - expected])
      #expect(statistic < chiSquareLimit(freedom: 1), "response \(place)")
    }
  }

  /// One acceptance from many copies of each candidate: the first sweep of i.i.d. proposals, which is what rejection
  /// sampling is, has the tilted distribution.
  @Test func oneOfManyProposalsHasTheTiltedDistribution() throws {
    let copies = 60
    let kinds = [0, 0.7, 1.2]
    let scores = (0..<copies).flatMap { _ in kinds }
    let trials = 6_000
    var counts = [Double](repeating: 0, count: kinds.count)
    for number in 0..<trials {
      let first = try #require(try Self.accepted(1, at: 0.5, of: Self.group(scores, number: number)).first)
      counts[first.place % kinds.count] += 1
    }
    let tilted = kinds.map { exp($0 / 0.5) }
    let total = tilted.reduce(0, +)
    #expect(chiSquare(counts, tilted.map { Double(trials) * $0 / total }) < chiSquareLimit(freedom: 2))
  }

  @Test func aFirstAcceptanceIsAsLikelyForEveryOrderOfTheCandidates() throws {
    let trials = 6_000
    var counts = [Double](repeating: 0, count: 4)
    for number in 0..<trials {
      let scores = [1.0, 1, 1, 1]
      counts[try #require(try Self.accepted(1, at: 0.5, of: Self.group(scores, number: number)).first).place] += 1
    }
    #expect(chiSquare(counts, counts.map { _ in Double(trials) / 4 }) < chiSquareLimit(freedom: 3))
  }

  @Test(arguments: [0, 1e-300, 1e-6])
  func lowTemperaturesTakeTheBest(_ temperature: Double) throws {
    for seed in 0..<20 {
      let places = try Self.accepted(3, at: temperature, of: Self.group(), seed: UInt64(seed)).map(\.place)
      #expect(places == [1, 3, 4])
    }
  }

  @Test(arguments: [1e12, Double.infinity])
  func highTemperaturesTakeAny(_ temperature: Double) throws {
    let trials = 5_000
    var counts = [Double](repeating: 0, count: 5)
    for number in 0..<trials {
      let accepted = try Self.accepted(2, at: temperature, of: Self.group(number: number))
      #expect(accepted.count == 2 && accepted.allSatisfy { $0.sweep == 0 })
      for one in accepted { counts[one.place] += 1 }
    }
    #expect(chiSquare(counts, counts.map { _ in Double(trials) * 2 / 5 }) < chiSquareLimit(freedom: 4))
  }

  @Test(arguments: [0, 0.3, Double.infinity])
  func moreThanThereAreIsAll(_ temperature: Double) throws {
    let places = try Self.accepted(64, at: temperature, of: Self.group()).map(\.place)
    #expect(places.sorted() == Array(0..<5))
    #expect(try Self.accepted(8, at: temperature, of: Self.group([])).isEmpty)
  }

  @Test func tiesAtTheTopAreAllAccepted() throws {
    let accepted = try Self.accepted(3, at: 0, of: Self.group([2, 1, 2, 2]))
    #expect(Set(accepted.map(\.place)) == [0, 2, 3] && accepted.allSatisfy { $0.sweep == 0 })
  }

  @Test func duplicatesAreOneCandidateUnlessToldOtherwise() throws {
    let group = Self.group([1, 1, 0, 1], texts: ["same", "same", "other", "same"])
    let texts = try Self.accepted(4, at: 1, of: group).map { group.texts[$0.place] }
    #expect(texts.sorted() == ["other", "same"])
    #expect(try Self.accepted(4, at: 1, of: group, mergesDuplicates: false).count == 4)
  }

  @Test(arguments: [Double.nan, .infinity, -.infinity])
  func scoresThatAreNoNumbersAreFaults(_ score: Double) {
    #expect(throws: Fault.self) { try Self.accepted(1, at: 1, of: Self.group([0, score])) }
  }

  @Test func settingsAreChecked() throws {
    #expect(throws: Fault.self) { try ResponseResampling(count: 0, temperature: 1) }
    #expect(throws: Fault.self) { try ResponseResampling(count: 1, temperature: -1) }
    #expect(throws: Fault.self) { try ResponseResampling(count: 1, temperature: .nan) }
    #expect(throws: Fault.self) { try Self.accepted(1, at: 1, of: CandidateGroup(number: 0, texts: ["a"])) }
  }

  @Test func probabilitiesAreThoseOfTheFirstSweep() throws {
    let found = try ResponseResampling(count: 1, temperature: 0.5).acceptanceProbabilities(of: [0, 1, 0.5])
    #expect(found == [exp(-2), 1, exp(-1)])
    #expect(try ResponseResampling(count: 1, temperature: 0).acceptanceProbabilities(of: [2, 1, 2]) == [1, 0, 1])
  }
}
