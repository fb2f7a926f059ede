import AlignmentCore
import Objectives
import Testing

@Suite struct QuantileCouplingTests {
  /// (first) × (second) masses; shares of both directions must agree on them.
  private func masses(_ a: [Double], _ b: [Double], _ weights: [Double]) -> [[Double]] {
    var coupling = QuantileCoupling()
    coupling.match(a, b, weights: weights)
    var (forward, backward) = (
      Array(repeating: Array(repeating: 0.0, count: b.count), count: a.count),
      Array(repeating: Array(repeating: 0.0, count: b.count), count: a.count)
    )
    for i in a.indices {
      coupling.forEachMatch(ofFirst: i) { forward[i][$0] += weights[i] * $1 }
      coupling.forEachMatch(ofSecond: i) { backward[$0][i] += weights[i] * $1 }
    }
    for (one, other) in zip(forward.joined(), backward.joined()) { #expect(isClose(one, other)) }
    return forward
  }

  private func sample(_ count: Int, seed: UInt64) -> [Double] {
    let random = RandomStream(seed: seed, purpose: .evaluation)
    return (0..<count).map { 10 * random.uniform(at: $0) }
  }

  @Test func equalWeightsMatchRanks() {
    let masses = masses([3, -1, 2, 7], [10, 40, 20, 30], [0.1, 0.1, 0.1, 0.1])
    for (i, j) in [(1, 0), (2, 2), (0, 3), (3, 1)] {
      for other in 0..<4 { #expect(isClose(masses[i][other], other == j ? 0.1 : 0)) }
    }
  }

  // First in order: b (1), a (2); second in order: a (2), b (1): b–a 1, a–a 1, a–b 1.
  @Test func unequalWeightsMatchInShares() {
    let masses = masses([5, 4], [1, 2], [2, 1])
    #expect(masses == [[1, 1], [1, 0]])
  }

  @Test(arguments: 1...12 as ClosedRange<UInt64>)
  func marginalsArePreserved(seed: UInt64) {
    let count = Int(seed) + 1
    let weights = sample(count, seed: seed + 300).map { $0 + 0.01 }
    let masses = masses(sample(count, seed: seed), sample(count, seed: seed + 100), weights)
    for i in 0..<count {
      #expect(isClose(masses[i].reduce(0, +), weights[i]))
      #expect(isClose(masses.reduce(0) { $0 + $1[i] }, weights[i]))
      #expect(masses[i].allSatisfy { $0 >= 0 })
    }
  }

  @Test func tiesAreMatchedByIndex() {
    let masses = masses([1, 1, 1], [2, 2, 2], [1, 2, 3])
    #expect(masses == [[1, 0, 0], [0, 2, 0], [0, 0, 3]])
    #expect(self.masses([1, 1], [2, 3], [1, 2]) == [[1, 0], [0, 2]])
  }

  @Test func anElementOfWeightZeroHasNoMatch() {
    let masses = masses([3, 1, 2], [1, 3, 2], [1, 0, 2])
    #expect(masses[1] == [0, 0, 0] && masses.allSatisfy { $0[1] == 0 })
    #expect(isClose(masses[0][0] + masses[0][2], 1))
  }

  @Test func aCouplingIsMadeAnew() {
    var coupling = QuantileCoupling()
    coupling.match([3, 1, 2], [1, 2, 3], weights: [1, 1, 1])
    coupling.match([1, 2], [2, 1], weights: [1, 1])
    var found: [Int] = []
    for i in 0..<2 { coupling.forEachMatch(ofFirst: i) { other, _ in found.append(other) } }
    #expect(found == [1, 0])
  }

  /// The cost of a coupling of atoms of weight 1, minimal over all permutations.
  private func minimalCost(_ a: [Double], _ b: [Double], _ cost: (Double) -> Double) -> Double {
    guard let last = a.last else { return 0 }
    return b.indices.reduce(.infinity) { best, index in
      var rest = b
      let matched = rest.remove(at: index)
      return min(best, cost(last - matched) + minimalCost(a.dropLast(), rest, cost))
    }
  }

  // Integer weights are atoms of weight 1 several times over: at most 7 here, 5040 permutations.
  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func noOtherCouplingCostsLess(seed: UInt64) {
    let (a, b) = (sample(4, seed: seed + 500), sample(4, seed: seed + 600))
    let weights = [1, 3, 1, 2].map(Double.init)
    let masses = masses(a, b, weights)
    let atoms = { (values: [Double]) in zip(values, weights).flatMap { Array(repeating: $0, count: Int($1)) } }
    for cost in [{ $0 * $0 }, { abs($0) }, { max($0, 0) * $0 }] as [(Double) -> Double] {
      var found = 0.0
      for i in a.indices { for j in b.indices { found += masses[i][j] * cost(a[i] - b[j]) } }
      #expect(isClose(found, minimalCost(atoms(a), atoms(b), cost)))
      let sorted = zip(atoms(a).sorted(), atoms(b).sorted()).reduce(0) { $0 + cost($1.0 - $1.1) }
      #expect(isClose(found, sorted))
    }
  }

  // Weights over twelve orders of magnitude: what a small one loses is the rounding of the sum of all.
  @Test func noMassIsLostOrDoubled() {
    let weights = [1e-6, 1e6, 1, 3e-3, 1e5, 7]
    var coupling = QuantileCoupling()
    coupling.match(sample(6, seed: 1), sample(6, seed: 2), weights: weights)
    for i in weights.indices {
      var (first, second) = (0.0, 0.0)
      coupling.forEachMatch(ofFirst: i) { first += weights[i] * $1 }
      coupling.forEachMatch(ofSecond: i) { second += weights[i] * $1 }
      #expect(abs(first - weights[i]) <= 1e6 * rounding && abs(second - weights[i]) <= 1e6 * rounding)
    }
  }
}
