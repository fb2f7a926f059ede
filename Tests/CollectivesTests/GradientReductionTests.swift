import AlignmentCore
import Collectives
import Foundation
import Testing

@Suite struct GradientReductionTests {
  static let count = 3 * Sharding.blockSize + 101
  static let units = 7
  static let normalizer = 12.0

  /// The gradient of a unit: magnitudes over nine orders, as those of a model.
  private static func gradient(_ unit: Int) -> [Float] {
    pseudoRandom(count, seed: unit).enumerated().map { index, value in
      value * Float(sign: .plus, exponent: -(index % 30), significand: 1)
    }
  }

  private func add(_ gradient: [Float], to reduction: GradientReduction) throws -> Bool {
    let memory = try buffer(gradient)
    return withExtendedLifetime(memory) { reduction.add(memory.view) }
  }

  /// Sums the units that `owner` deals to the ranks and puts the shards together.
  private func reduce(
    _ mode: GradientReduction.Mode, ranks: Int, normalizer: Double = normalizer, bucketBlocks: Int? = nil,
    owner: @escaping (Int) -> Int
  ) throws -> [Float] {
    let sharding = Sharding(count: Self.count, ranks: ranks, bucketBlocks: bucketBlocks)
    let shards = try LocalCommunicator.run(ranks: ranks) { communicator -> [Float] in
      let reduction = try GradientReduction(mode, sharding, rank: communicator.rank)
      let gradients = try FloatBuffer(count: Self.count, purpose: "test")
      // A first step that the second must not see.
      for own in [0..<1, 0..<Self.units] {
        reduction.begin(scale: normalizer, terms: Self.units)
        for unit in own where owner(unit) == communicator.rank {
          #expect(try add(Self.gradient(unit), to: reduction))
        }
        try reduction.finish(normalizer: normalizer, into: gradients.view, over: communicator)
      }
      return (0..<Self.count).map { gradients.view.base[$0] }
    }
    let blocks = (0..<sharding.blockCount).map { (sharding.rank(ofBlock: $0), sharding.range(ofBlock: $0)) }
    return blocks.flatMap { shards[$0][$1] }
  }

  private static func means(normalizer: Double = normalizer) -> [Double] {
    let gradients = (0..<units).map(gradient)
    return (0..<count).map { index in gradients.reduce(0) { $0 + Double($1[index]) } / normalizer }
  }

  @Test func exactSumsAreTheSameBitsForAnyRanksAndAnyAssignment() throws {
    let alone = try reduce(.exact, ranks: 1) { _ in 0 }
    for ranks in 2...5 {
      #expect(try reduce(.exact, ranks: ranks) { $0 % ranks } == alone, "\(ranks) ranks in turn")
      #expect(try reduce(.exact, ranks: ranks) { _ in ranks - 1 } == alone, "the last of \(ranks) does all")
      #expect(try reduce(.exact, ranks: ranks) { ($0 * $0 + 1) % ranks } == alone, "\(ranks) ranks unevenly")
      #expect(try reduce(.exact, ranks: ranks, bucketBlocks: 1) { $0 % ranks } == alone, "\(ranks) ranks, buckets")
    }
  }

  // Each term is rounded to 2⁻⁵² of the normaliser's scale, the mean once to Float32.
  static let exactTolerance = (absolute: 0x1p-48, relative: 0x1p-23)

  @Test(arguments: [0.3, 1, 12, 1_000, 1e6])
  func exactSumsAreMeans(normalizer: Double) throws {
    let result = try reduce(.exact, ranks: 3, normalizer: normalizer) { $0 % 3 }
    let means = Self.means(normalizer: normalizer)
    try #require(result.count == means.count)
    for (value, mean) in zip(result, means) {
      try #require(abs(Double(value) - mean) <= Self.exactTolerance.absolute + Self.exactTolerance.relative * abs(mean))
    }
  }

  // Float32 sums of seven terms.
  static let fastTolerance = 1e-6

  @Test(arguments: 1...5)
  func fastSumsAreCloseToTheMeans(ranks: Int) throws {
    let result = try reduce(.fast, ranks: ranks) { $0 % ranks }
    let means = Self.means()
    try #require(result.count == means.count)
    for (value, mean) in zip(result, means) { try #require(abs(Double(value) - mean) <= Self.fastTolerance) }
    #expect(try reduce(.fast, ranks: ranks) { $0 % ranks } == result)
  }

  private func isAccepted(_ value: Float, at index: Int, mode: GradientReduction.Mode, normalizer: Double) throws
    -> Bool
  {
    let sharding = Sharding(count: 40, ranks: 1)
    let reduction = try GradientReduction(mode, sharding, rank: 0)
    reduction.begin(scale: normalizer, terms: 8)
    var gradient = [Float](repeating: 0, count: 40)
    gradient[index] = value
    return try add(gradient, to: reduction)
  }

  @Test(arguments: GradientReduction.Mode.allCases, [0, 15, 16, 39])
  func whatIsNotFiniteIsReported(mode: GradientReduction.Mode, index: Int) throws {
    for bad in [Float.nan, .infinity, -.infinity] {
      #expect(try !isAccepted(bad, at: index, mode: mode, normalizer: 4))
    }
    #expect(try isAccepted(1, at: index, mode: mode, normalizer: 4))
  }

  // 2¹⁰ / 8 terms, at the scale of a mean over 4.
  @Test func whatDoesNotFitIsReported() throws {
    #expect(try isAccepted(512, at: 3, mode: .exact, normalizer: 4))
    #expect(try !isAccepted(-512.0001, at: 3, mode: .exact, normalizer: 4))
    #expect(try isAccepted(3e38, at: 3, mode: .fast, normalizer: 4))
    let reduction = try GradientReduction(.exact, Sharding(count: 1, ranks: 1), rank: 0)
    reduction.begin(scale: 4, terms: 8)
    #expect(reduction.largestTerm == 512)
  }

  // Sums of density ratios can be far below any Float32. The mean must be right, or the gradient refused; what must not
  // happen is a wrong mean.
  @Test(arguments: [1e-18, 1e-22, 1e-23, 1e-25, 1e-30, 1e-37, 1e-45, 1e-60, 1e-300, 1e30, 1e37])
  func anExtremeNormalizerGivesTheMeanOrIsRefused(normalizer: Double) throws {
    let reduction = try GradientReduction(.exact, Sharding(count: 3, ranks: 1), rank: 0)
    let terms: [Float] = [Float(0.5 * normalizer), 0, Float(-2 * normalizer)]
    reduction.begin(scale: normalizer, terms: 4)
    guard try add(terms, to: reduction) else { return }
    let result = try FloatBuffer(count: 3, purpose: "test")
    try reduction.finish(normalizer: normalizer, into: result.view, over: LocalCommunicator())
    for (index, term) in terms.enumerated() {
      let expected = Double(term) / normalizer
      #expect(abs(Double(result.view.base[index]) - expected) <= 1e-6 * abs(expected), "element \(index)")
    }
  }

  // Finite gradients whose Float32 sum is not: what comes out must be seen to be broken.
  @Test func fastSumsThatOverflowAreNotFinite() throws {
    let reduction = try GradientReduction(.fast, Sharding(count: 2, ranks: 1), rank: 0)
    reduction.begin(scale: 2, terms: 2)
    for _ in 0..<2 { #expect(try add([3e38, 1], to: reduction)) }
    let result = try FloatBuffer(count: 2, purpose: "test")
    try reduction.finish(normalizer: 2, into: result.view, over: LocalCommunicator())
    #expect(result.view.base[0] == .infinity && result.view.base[1] == 1)
  }
}
