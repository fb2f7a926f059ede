import Kernels
import Testing

@Suite struct ThresholdSearchTests {
  static let counts = [1, 2, 16, 17, 300, 5_000]

  /// Keys of many kinds: far apart, close together, equal, huge, infinitely small.
  private static func keys(_ kind: String, _ count: Int) -> [Float] {
    var generator = TestGenerator(count + kind.utf8.count)
    switch kind {
    case "spread": return generator.floats(count, -30...10)
    case "narrow": return generator.floats(count, 5...5.001)
    case "ties": return (0..<count).map { _ in Float(generator.integer(below: 7)) - 3 }
    case "equal": return Array(repeating: 2.5, count: count)
    case "extreme":
      let scales: [Float] = [-1e34, 1e33, Float.leastNonzeroMagnitude]
      return (0..<count).map { Float($0) * scales[$0 % 3] }
    case "zeros":
      let values: [Float] = [0, -0.0, .leastNonzeroMagnitude, -.leastNonzeroMagnitude]
      return (0..<count).map { values[$0 % 4] }
    default:
      return (0..<count).map { (i: Int) -> Float in i % 2 == 0 ? -Float.infinity : Float(i) - 3 }
    }
  }

  static let kinds = ["spread", "narrow", "ties", "equal", "extreme", "zeros", "infinite"]

  private func boundary(_ keys: [Float], _ weights: [Float]?, _ budget: Double) -> ThresholdSearch.Boundary {
    let (memory, weightMemory) = (Memory(keys), weights.map { Memory($0) })
    let scratch = Memory(count: ThresholdSearch.scratchCount(keys.count))
    let result = ThresholdSearch.boundary(
      memory.base, weights: weightMemory.map { UnsafePointer($0.base) }, count: keys.count,
      bounds: LogitRow.bounds(memory.base, count: keys.count), budget: budget, span: 24, scratch: scratch.view)
    #expect(scratch.isIntact && memory.isIntact && memory.values == keys)
    return result
  }

  // Counts are exact, so the result is exactly the key of that rank.
  @Test(arguments: kinds, counts)
  func findsTheKeyOfAnyRank(kind: String, count: Int) {
    let keys = Self.keys(kind, count)
    guard keys.contains(where: \.isFinite), (keys.max() ?? 0).isFinite else { return }
    let sorted = keys.sorted()
    for rank in Set([0, 1, count / 3, count / 2, count - 2, count - 1]).filter({ (0..<count).contains($0) }) {
      let result = boundary(keys, nil, Double(rank))
      #expect(result.key == sorted[rank], "rank \(rank)")
      #expect(result.below == Double(keys.count { $0 < sorted[rank] }))
    }
  }

  // Weights are multiples of 1/64, so that their sums are exact too.
  @Test(arguments: kinds, counts)
  func findsWhereABudgetOfWeightsIsUsedUp(kind: String, count: Int) {
    let keys = Self.keys(kind, count)
    guard (keys.max() ?? 0).isFinite else { return }
    var generator = TestGenerator(count)
    let weights = (0..<count).map { _ in Float(1 + generator.integer(below: 64)) / 64 }
    let total = weights.reduce(0.0) { $0 + Double($1) }
    for share in [0, 0.001, 0.05, 0.5, 0.95, 0.9999] {
      let budget = share * total
      let below = { (key: Float) in zip(keys, weights).reduce(0.0) { $1.0 < key ? $0 + Double($1.1) : $0 } }
      let expected = Set(keys).sorted().last { below($0) <= budget }
      let result = boundary(keys, weights, budget)
      #expect(result.key == expected && result.below == below(result.key), "share \(share)")
    }
  }
}
