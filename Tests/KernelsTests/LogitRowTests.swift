import Foundation
import Kernels
import Testing

@Suite struct LogitRowTests {
  // The exponential's 2·10⁻⁷ and the rounding of the difference.
  static let tolerance = 6e-7
  static let counts = [1, 15, 16, 17, 100, 511, 512, 513, 1_500]

  @Test(arguments: counts)
  func exponentialsAndTheirSums(count: Int) {
    var generator = TestGenerator(count)
    let row = Memory(generator.floats(count, -20...20))
    let bounds = LogitRow.bounds(row.base, count: count)
    #expect(bounds.lowest == row.values.min() && bounds.highest == row.values.max())
    let (weights, scale) = (Memory(count: count), Float(0.7))
    var sums = [Double](repeating: .nan, count: LogitRow.blocks(of: count))
    let total = LogitRow.exponentiate(
      row.base, count: count, largest: bounds.highest, scale: scale, into: weights.base, sums: &sums)
    let expected = row.values.map { exp(Double(($0 - bounds.highest) * scale)) }
    expectClose(weights.values, expected, tolerance: Self.tolerance, scale: 0.01)
    for (block, sum) in sums.enumerated() {
      let range = block * LogitRow.blockSize..<min((block + 1) * LogitRow.blockSize, count)
      #expect(abs(sum - expected[range].reduce(0, +)) <= Self.tolerance * (sum + 1))
    }
    #expect(abs(total - sums.reduce(0, +)) <= 1e-12 * total)
    let plain = LogitRow.sumOfExponentials(row.base, count: count, largest: bounds.highest)
    #expect(abs(plain - row.values.reduce(0.0) { $0 + exp(Double($1 - bounds.highest)) }) <= Self.tolerance * plain)
    #expect(weights.isIntact && row.isIntact)
  }

  @Test(arguments: counts)
  func entriesFromAThresholdOn(count: Int) {
    var generator = TestGenerator(count)
    // Few different values, so that some equal the threshold.
    let keys = Memory((0..<count).map { _ in Float(generator.integer(below: 9)) - 4 })
    let weights = Memory(generator.floats(count, 0...1))
    let kept = keys.values.indices.filter { keys.values[$0] >= 1 }
    var sums = [Double](repeating: .nan, count: LogitRow.blocks(of: count))
    let total = LogitRow.sum(weights.base, keys: keys.base, atLeast: 1, count: count, into: &sums)
    #expect(abs(total - kept.reduce(0.0) { $0 + Double(weights.values[$1]) }) <= 1e-12 * (total + 1))
    let values = Memory(count: count)
    var indices = [Int32](repeating: -1, count: count)
    let found = LogitRow.collect(keys.base, atLeast: 1, count: count, into: values.base, indices: &indices)
    #expect(Array(indices[..<found]) == kept.map(Int32.init) && values.isIntact)
    #expect(Array(values.values[..<found]) == kept.map { keys.values[$0] })
    for value in [Float(-4), 3, 4, 7] {
      #expect(
        LogitRow.firstIndex(of: value, in: keys.base, count: count) == keys.values.firstIndex(of: value) ?? count)
    }
  }

  @Test func notANumberShowsInEverySum() {
    for position in [0, 15, 31, 35] {
      let row = Memory((0..<36).map { $0 == position ? Float.nan : Float($0) })
      var sums = [0.0]
      let weights = Memory(count: 36)
      #expect(LogitRow.sumOfExponentials(row.base, count: 36, largest: 35).isNaN)
      #expect(
        LogitRow.exponentiate(row.base, count: 36, largest: 35, scale: 1, into: weights.base, sums: &sums).isNaN)
    }
  }
}
