import AlignmentCore
import Optimization
import Testing

@Suite struct GradientClippingTests {
  @Test(
    arguments: [
      (0.5, 1.0, 1.0), (1, 1, 1 / 1.000001), (4, 1, 1 / 4.000001), (4, 0, 1), (0, 1, 1), (1e30, 2, 2e-30),
    ] as [(Double, Double, Double)])
  func scaleBringsTheNormDown(norm: Double, maximum: Double, expected: Double) {
    #expect(abs(GradientClipping.scale(norm: norm, maximum: maximum) / expected - 1) < 1e-15)
  }
}

@Suite struct GradientNormsTests {
  static let count = 5 * Sharding.blockSize + 99
  static let values = pseudoRandom(count, seed: 9)

  /// Groups that change inside blocks, at their borders, and back again; decay that changes where the group does not.
  static let runs: [ParameterRun] = {
    let size = Sharding.blockSize
    let borders = [(10, 0, true), (1_000, 1, true), (size, 1, false), (size + 7, 0, false), (3 * size, 0, true)]
    let rest = [(3 * size + 1, 2, false), (4 * size - 1, 2, true), (count, 0, true)]
    var start = 0
    return (borders + rest).map { end, group, decays in
      defer { start = end }
      return ParameterRun(range: start..<end, group: group, decays: decays)
    }
  }()

  /// The sum of all ranks' tables.
  private func table(
    _ runs: [ParameterRun], ranks: Int, bucketBlocks: Int? = nil
  ) throws -> (norms: GradientNorms, table: [Double]) {
    let sharding = Sharding(count: Self.count, ranks: ranks, bucketBlocks: bucketBlocks)
    let norms = GradientNorms(sharding, runs: runs)
    var sum = [Double](repeating: 0, count: norms.tableCount)
    for rank in 0..<ranks {
      // What lies outside the shard must not be read.
      let shard = Set(sharding.shard(ofRank: rank).joined())
      let gradients = try buffer(Self.values.enumerated().map { shard.contains($0) ? $1 : .nan })
      var table = [Double](repeating: .nan, count: norms.tableCount)
      table.withUnsafeMutableBufferPointer { norms.sumSquares(of: gradients.view, rank: rank, into: $0) }
      sum = zip(sum, table).map { $0 + $1 }
    }
    return (norms, sum)
  }

  // Sums of 2¹⁷ exact squares in Float64.
  static let tolerance = 1e-12

  @Test func everyGroupHasItsOwnNorm() throws {
    let (norms, table) = try table(Self.runs, ranks: 1)
    var squares = [0.0, 0, 0]
    for run in Self.runs { squares[run.group] += Self.values[run.range].reduce(0) { $0 + Double($1) * Double($1) } }
    table.withUnsafeBufferPointer {
      for group in 0..<3 {
        #expect(abs(norms.norm(ofGroup: group, from: $0) / squares[group].squareRoot() - 1) <= Self.tolerance)
      }
      #expect(abs(norms.norm(from: $0) / squares.reduce(0, +).squareRoot() - 1) <= Self.tolerance)
      #expect(norms.norm(ofGroup: 3, from: $0) == 0)
    }
  }

  @Test(arguments: 2...7, [nil, 1, 4])
  func theTablesOfAllRanksAddUpToTheSameBits(ranks: Int, bucketBlocks: Int?) throws {
    #expect(try table(Self.runs, ranks: ranks, bucketBlocks: bucketBlocks).table == table(Self.runs, ranks: 1).table)
  }

  /// One group is cut at the borders of blocks only, wherever decay changes.
  @Test(arguments: [1, 3])
  func oneGroupHasOneEntryForEachBlock(ranks: Int) throws {
    let runs = Self.runs.map { ParameterRun(range: $0.range, group: 0, decays: $0.decays) }
    let (norms, table) = try table(runs, ranks: ranks)
    let plain = try self.table([ParameterRun(range: 0..<Self.count, group: 0, decays: true)], ranks: 1)
    #expect(table.count == Sharding(count: Self.count, ranks: 1).blockCount && table == plain.table)
    table.withUnsafeBufferPointer { #expect(norms.norm(from: $0) == $0.reduce(0, +).squareRoot()) }
  }
}
