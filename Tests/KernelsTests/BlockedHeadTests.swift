import Kernels
import Testing

@Suite struct BlockedHeadTests {
  // Float32 sums of at most 70 products of numbers below 2, fused.
  static let tolerance = 2e-6
  static let dimensions = [2, 8, 16, 24, 48, 64, 80]

  /// Random keys and values of some positions in blocks, of several slots where there are any.
  private struct Blocks {
    let keys: Memory
    let values: Memory
    let plainKeys: [[Float]]
    let plainValues: [[Float]]

    /// Blocks lie one behind the other; position p of slot s is at (p / 16 · slots + s).
    init(positions: Int, dimension: Int, slots: Int = 1, _ generator: inout TestGenerator) {
      let blocks = (positions + BlockedHead.positions - 1) / BlockedHead.positions * slots
      keys = Memory(count: blocks * BlockedHead.keyFloats(dimension))
      values = Memory(count: blocks * BlockedHead.valueFloats(dimension))
      let rows = (0..<positions * slots).map { _ in generator.floats(dimension) }
      plainKeys = rows
      plainValues = rows.map { $0.reversed() }
      for slot in 0..<slots {
        for position in 0..<positions {
          let block = position / BlockedHead.positions * slots + slot
          BlockedHead.store(
            key: plainKeys[slot * positions + position], value: plainValues[slot * positions + position],
            dimension: dimension, keys: keys.base + block * BlockedHead.keyFloats(dimension),
            values: values.base + block * BlockedHead.valueFloats(dimension), at: position % BlockedHead.positions)
        }
      }
    }
  }

  /// Rows of a length, padded to whole vectors by zeros.
  private func padded(_ rows: [[Float]], _ dimension: Int) -> Grid {
    let width = BlockedHead.padded(dimension)
    return Grid(
      rows.flatMap { $0 + Array(repeating: 0, count: width - dimension) }, rows: rows.count, columns: width)
  }

  private func dot(_ a: [Float], _ b: [Float]) -> Double { contraction(a.doubles, b.doubles) }

  @Test(arguments: dimensions, [1, 3, 4, 5, 8])
  func sharedKeysAreScored(dimension: Int, rows: Int) {
    var generator = TestGenerator(dimension * 100 + rows)
    for positions in [1, 16, 17, 37, 64] {
      let blocks = Blocks(positions: positions, dimension: dimension, &generator)
      let queries = (0..<rows).map { _ in generator.floats(dimension) }
      let count = (positions + 15) / 16
      let scores = Grid(rows: rows, columns: 16 * count, gap: 3)
      let grid = padded(queries, dimension)
      BlockedHead.score(grid.matrix, blocks.keys.base, blocks: count, dimension: dimension, into: scores.matrix)
      for (row, query) in queries.enumerated() {
        let got = scores.values[row * 16 * count..<row * 16 * count + positions]
        expectClose(
          Array(got), blocks.plainKeys.map { dot(query, $0) }, tolerance: Self.tolerance, scale: Double(dimension))
      }
      #expect(scores.isIntact && grid.isIntact)
    }
  }

  @Test(arguments: dimensions, [1, 3])
  func eachSampleMeetsItsOwnBlock(dimension: Int, group: Int) {
    var generator = TestGenerator(dimension * 10 + group)
    let (positions, slots) = (11, 5)
    let blocks = Blocks(positions: positions, dimension: dimension, slots: slots, &generator)
    let taken: [Int32] = [0, 2, 4]
    let rows = (0..<taken.count * group).map { _ in generator.floats(dimension) }
    let scores = Grid(rows: rows.count, columns: 16, gap: 1)
    let queries = padded(rows, dimension)
    BlockedHead.scoreEach(
      queries.matrix, group: group, blocks.keys.base, slots: taken, dimension: dimension, into: scores.matrix)
    let before = (0..<rows.count).map { _ in generator.floats(dimension) }
    let results = padded(before, dimension)
    let weights = Grid(generator.floats(rows.count * positions), rows: rows.count, columns: positions, gap: 4)
    BlockedHead.mixEach(weights.matrix, group: group, blocks.values.base, slots: taken, into: results.matrix)
    for row in rows.indices {
      let own = (0..<positions).map { Int(taken[row / group]) * positions + $0 }
      expectClose(
        Array(scores.values[row * 16..<row * 16 + positions]), own.map { dot(rows[row], blocks.plainKeys[$0]) },
        tolerance: Self.tolerance, scale: Double(dimension))
      let expected = (0..<dimension).map { d in
        Double(before[row][d])
          + (0..<positions).reduce(0.0) {
            $0 + Double(weights.values[row * positions + $1]) * Double(blocks.plainValues[own[$1]][d])
          }
      }
      let width = BlockedHead.padded(dimension)
      expectClose(
        Array(results.values[row * width..<row * width + dimension]), expected, tolerance: Self.tolerance,
        scale: Double(positions))
    }
    #expect(scores.isIntact && results.isIntact && weights.isIntact && blocks.keys.isIntact && blocks.values.isIntact)
  }

  // What makes a sample independent of its company: the same chain of additions in every tile.
  @Test(arguments: dimensions)
  func aRowHasTheSameBitsInAnyCompany(dimension: Int) {
    var generator = TestGenerator(dimension)
    let blocks = Blocks(positions: 48, dimension: dimension, &generator)
    let queries = padded((0..<7).map { _ in generator.floats(dimension) }, dimension)
    let whole = Grid(rows: 7, columns: 48)
    BlockedHead.score(queries.matrix, blocks.keys.base, blocks: 3, dimension: dimension, into: whole.matrix)
    for row in 0..<7 {
      let single = Grid(rows: 1, columns: 48)
      BlockedHead.score(
        queries.matrix.rows(row..<row + 1), blocks.keys.base, blocks: 3, dimension: dimension, into: single.matrix)
      #expect(single.values == Array(whole.values[row * 48..<(row + 1) * 48]))
    }
  }
}
