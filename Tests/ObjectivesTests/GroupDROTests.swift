import Glibc
import Objectives
import Testing

/// The weights of groups whose losses are compared.
@Suite struct GroupDROTests {
  private func weights(_ dro: GroupDRO) -> [Double] { dro.logWeights.indices.map(dro.weight) }

  private func isClose(_ a: [Double], _ b: [Double]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { ObjectivesTests.isClose($0, $1) }
  }

  @Test func allGroupsBeginAlike() {
    #expect(isClose(weights(GroupDRO(sizes: [1, 50, 7, 2], step: 1, adjustment: 3)), [0.25, 0.25, 0.25, 0.25]))
  }

  // q ∝ e^(η·ℓ), twice.
  @Test func weightsGrowExponentiallyWithLosses() {
    var dro = GroupDRO(sizes: [5, 5, 5], step: 0.5, adjustment: 0)
    dro.update([1, 2, 0.5])
    let once = [0.5, 1, 0.25].map { exp($0) }
    #expect(isClose(weights(dro), once.map { $0 / once.reduce(0, +) }))
    dro.update([3, 0, 0.5])
    let twice = [2, 1, 0.5].map { exp($0) }
    #expect(isClose(weights(dro), twice.map { $0 / twice.reduce(0, +) }))
  }

  // C/√n: 2/2 and 2/4.
  @Test func smallGroupsHaveTheAdjustmentOnTop() {
    var dro = GroupDRO(sizes: [4, 16], step: 0.1, adjustment: 2)
    dro.update([0.7, 0.7])
    #expect(isClose(weights(dro), [1 / (1 + exp(-0.05)), 1 / (1 + exp(0.05))]))
  }

  // The other two share 2/3 anew.
  @Test func aGroupThatTheBatchDoesNotHoldKeepsItsWeight() {
    var dro = GroupDRO(sizes: [5, 5, 5], step: 1, adjustment: 1)
    dro.update([.nan, 1, 3])
    let odds = exp(2.0)
    #expect(isClose(weights(dro), [1 / 3.0, 2 / 3.0 / (1 + odds), 2 / 3.0 * odds / (1 + odds)]))
    let before = weights(dro)
    dro.update([7, .nan, .nan])
    #expect(isClose(weights(dro), before))
    dro.update([.nan, .nan, .nan])
    #expect(isClose(weights(dro), before))
  }

  @Test func aGroupOnceAlmostForgottenComesBack() {
    var dro = GroupDRO(sizes: [5, 5], step: 1, adjustment: 0)
    for _ in 0..<3 { dro.update([1e4, 0]) }
    #expect(weights(dro) == [1, 0] && dro.logWeights.allSatisfy(\.isFinite))
    for _ in 0..<6 { dro.update([0, 1e4]) }
    #expect(weights(dro) == [0, 1])
  }

  @Test func theStateIsAllThereIs() {
    var (one, two) = (
      GroupDRO(sizes: [3, 4], step: 0.2, adjustment: 1), GroupDRO(sizes: [3, 4], step: 0.2, adjustment: 1)
    )
    one.update([0.3, 0.9])
    two.logWeights = one.logWeights
    one.update([2, 1])
    two.update([2, 1])
    #expect(one.logWeights == two.logWeights)
  }
}
