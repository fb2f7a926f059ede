import AlignmentCore
import Testing

@Suite struct PhiloxTests {
  struct KnownAnswer: Sendable {
    let counter: SIMD4<UInt32>
    let key: SIMD2<UInt32>
    let block: SIMD4<UInt32>
  }

  // `philox4x32 10` of kat_vectors in the Random123 distribution.
  static let knownAnswers = [
    KnownAnswer(
      counter: SIMD4(repeating: 0), key: SIMD2(repeating: 0),
      block: SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8)),
    KnownAnswer(
      counter: SIMD4(repeating: .max), key: SIMD2(repeating: .max),
      block: SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd)),
    KnownAnswer(
      counter: SIMD4(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344), key: SIMD2(0xa409_3822, 0x299f_31d0),
      block: SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1)),
  ]

  @Test(arguments: knownAnswers)
  func givesTheKnownAnswers(answer: KnownAnswer) {
    #expect(Philox.block(counter: answer.counter, key: answer.key) == answer.block)
  }
}

@Suite struct RandomStreamTests {
  static let count = 100_000
  /// Standard deviations within which a statistic must lie; a fixed seed makes the outcome certain, not likely.
  static let deviations = 4.0

  @Test func everyPartOfTheKeyMatters() {
    let streams = [
      RandomStream(seed: 1, purpose: .sampling, 2, 3), RandomStream(seed: 2, purpose: .sampling, 2, 3),
      RandomStream(seed: 1 << 32 | 1, purpose: .sampling, 2, 3), RandomStream(seed: 1, purpose: .shuffling, 2, 3),
      RandomStream(seed: 1, purpose: .sampling, 3, 3), RandomStream(seed: 1, purpose: .sampling, 2, 2),
      RandomStream(seed: 1, purpose: .sampling, 3, 2),
    ]
    let blocks = streams.flatMap { stream in [0, 1, Int(UInt32.max)].map { stream.bits(at: $0) } }
    #expect(Set(blocks).count == blocks.count)
    #expect(streams[0].bits(at: 5) == RandomStream(seed: 1, purpose: .sampling, 2, 3).bits(at: 5))
  }

  @Test func uniformsFillTheUnitInterval() {
    let stream = RandomStream(seed: 3, purpose: .sampling)
    let values = (0..<Self.count).map(stream.uniform)
    #expect(values.allSatisfy { $0 >= 0 && $0 < 1 })
    let mean = values.reduce(0, +) / Double(Self.count)
    let variance = values.reduce(0) { $0 + ($1 - 0.5) * ($1 - 0.5) } / Double(Self.count)
    // The mean of n uniforms deviates by 1/√(12n), the mean square by 1/√(180n).
    #expect(abs(mean - 0.5) < Self.deviations / (12 * Double(Self.count)).squareRoot())
    #expect(abs(variance - 1.0 / 12) < Self.deviations / (180 * Double(Self.count)).squareRoot())
    #expect(values.contains { $0 < 1e-4 } && values.contains { $0 > 1 - 1e-4 })
    // 53 bits: the last one is set in half of them.
    let odd = values.count { Int64($0 * 0x1p53) & 1 == 1 }
    #expect(abs(Double(odd) - Double(Self.count) / 2) < Self.deviations * Double(Self.count).squareRoot() / 2)
  }

  @Test func normalsHaveTheMomentsOfANormalDistribution() {
    let stream = RandomStream(seed: 4, purpose: .initialization)
    let values = (0..<Self.count).map(stream.normal)
    let moment = { (power: Int) in
      values.reduce(0.0) { sum, x in sum + (1...power).reduce(1) { product, _ in product * x } } / Double(Self.count)
    }
    // Var(xᵏ) of a standard normal is 1, 2, 15, 96 for k = 1…4.
    for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1, 2), (3, 0, 15), (4, 3, 96)] {
      let tolerance = Self.deviations * (variance / Double(Self.count)).squareRoot()
      #expect(abs(moment(power) - expected) < tolerance, "moment \(power)")
    }
    #expect(values.allSatisfy { $0.isFinite })
  }

  @Test(arguments: [1, 2, 3, 10, 97])
  func integersAreEquallyLikely(bound: Int) {
    let stream = RandomStream(seed: 5, purpose: .shuffling, bound)
    var counts = Array(repeating: 0, count: bound)
    for position in 0..<Self.count { counts[stream.integer(below: bound, at: position)] += 1 }
    let expected = Double(Self.count) / Double(bound)
    let chiSquare = counts.reduce(0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
    let freedom = Double(bound - 1)
    #expect(chiSquare <= freedom + Self.deviations * (2 * freedom).squareRoot())
  }

  @Test func integersReachTheWholeRange() {
    let stream = RandomStream(seed: 6, purpose: .shuffling)
    let large = (0..<1_000).map { stream.integer(below: 1 << 60, at: $0) }
    #expect(large.allSatisfy { $0 >= 0 && $0 < 1 << 60 })
    #expect(large.contains { $0 >= 1 << 59 } && Set(large.map { $0 & 0xFF }).count > 200)
  }
}
