import PreferenceData
import Testing

@Suite struct EpochOrderTests {
  private func stream(_ count: Int, seed: UInt64, _ positions: Range<Int>) -> [Int] {
    var order = EpochOrder(count: count, seed: seed, shuffle: true)
    return positions.map { order.index(at: $0) }
  }

  @Test(arguments: [1, 2, 3, 10, 1_001])
  func everyEpochIsAPermutation(count: Int) {
    for epoch in 0..<5 {
      let indices = stream(count, seed: 42, epoch * count..<(epoch + 1) * count)
      #expect(indices.sorted() == Array(0..<count))
    }
  }

  @Test func epochsAndSeedsDiffer() {
    let first = stream(100, seed: 1, 0..<100)
    #expect(first != Array(0..<100))
    #expect(first != stream(100, seed: 1, 100..<200))
    #expect(first != stream(100, seed: 2, 0..<100))
    #expect(first != stream(100, seed: 1 << 32 | 1, 0..<100))
  }

  @Test func resumesAtAnyPositionAndRunsBackwards() {
    let whole = stream(37, seed: 9, 0..<200)
    for start in [0, 1, 36, 37, 38, 111, 199] { #expect(stream(37, seed: 9, start..<200) == Array(whole[start...])) }
    var order = EpochOrder(count: 37, seed: 9, shuffle: true)
    #expect((0..<200).reversed().map { order.index(at: $0) } == whole.reversed())
  }

  // The order is part of what a checkpoint promises; it must never change.
  @Test func theOrderIsFixedForGood() {
    #expect(stream(8, seed: 7, 0..<16) == Self.known)
  }

  // Computed by an independent Philox and shuffle in Python.
  static let known = [0, 1, 3, 4, 5, 7, 2, 6, 2, 1, 6, 5, 0, 7, 3, 4]

  @Test func unshuffledIsTheOrderOfTheData() {
    var order = EpochOrder(count: 3, seed: 1, shuffle: false)
    #expect((0..<7).map { order.index(at: $0) } == [0, 1, 2, 0, 1, 2, 0])
  }

  // Each of the 6 orders of 3 within 5 standard deviations of 1/6 over 6,000 epochs.
  @Test func allOrdersAreEquallyLikely() {
    var counts: [[Int]: Int] = [:]
    let indices = stream(3, seed: 3, 0..<18_000)
    for start in stride(from: 0, to: indices.count, by: 3) {
      counts[Array(indices[start..<start + 3]), default: 0] += 1
    }
    #expect(counts.count == 6 && counts.values.allSatisfy { abs($0 - 1_000) < 145 })
  }
}
