import Objectives
import Testing

/// Optimal transport on three pairs with β = 0.1; every number by hand.
@Suite struct AOTTests {
  /// Policy margins 3, −1, 2 and reference margins 0.5, 1.5, −2.
  static let batch = [
    pair((-10, -20, 4), (-13, -20.5, 4)), pair((-10, -20, 4), (-9, -21.5, 4)), pair((-10, -20, 4), (-12, -18, 4)),
  ].enumerated().map { slot, group in
    var group = group
    group.slot = slot
    return group
  }

  private func prepared(_ name: String, _ batch: [ObjectiveGroup], _ settings: [String: String] = [:]) throws
    -> any Objective
  {
    var objective = try objective(name, settings)
    objective.prepare(for: batch)
    return objective
  }

  // In order: −1 with −2, 2 with 0.5, 3 with 1.5; each −log σ(0.1·difference).
  @Test func marginsAreComparedByRank() throws {
    let aot = try prepared("aot", Self.batch)
    for (slot, difference) in ([3 - 1.5, -1 + 2, 2 - 0.5] as [Double]).enumerated() {
      let loss = aot.loss(of: Self.batch[slot])
      #expect(isClose(loss.value, logOnePlusExp(-0.1 * difference)))
      #expect(isClose(loss.derivatives[0], -0.1 * sigma(-0.1 * difference)))
      #expect(isClose(loss.derivatives[1], 0.1 * sigma(-0.1 * difference)))
    }
  }

  // Smoothed by 0.2, and the second label is right with probability 0.9: p = 0.8 and 0.9·0.8 + 0.1·0.2 = 0.74.
  @Test func labelsAreSmoothed() throws {
    var batch = Self.batch
    batch[1].softLabel = 0.9
    let aot = try prepared("aot", batch, ["label_smoothing": "0.2"])
    #expect(isClose(aot.loss(of: batch[0]).value, 0.8 * logOnePlusExp(-0.15) + 0.2 * logOnePlusExp(0.15)))
    #expect(isClose(aot.loss(of: batch[1]).value, 0.74 * logOnePlusExp(-0.1) + 0.26 * logOnePlusExp(0.1)))
  }

  // The first example weighs 3: policy quantiles −1 | 2 | 3 3 3, reference quantiles −2 | 0.5 0.5 0.5 | 1.5.
  @Test func aHeavyExampleIsMatchedInShares() throws {
    var batch = Self.batch
    batch[0].weight = 3
    let aot = try prepared("aot", batch)
    #expect(isClose(aot.loss(of: batch[0]).value, (2 * logOnePlusExp(-0.25) + logOnePlusExp(-0.15)) / 3))
    #expect(isClose(aot.loss(of: batch[1]).value, logOnePlusExp(-0.1)))
    #expect(isClose(aot.loss(of: batch[2]).value, logOnePlusExp(-0.15)))
  }

  // Chosen log-ratios 10, 10, 10 would tie; here they are 1, 4, 2, the rejected −3, 0.5, −1.
  static let unpaired = [((1.0, -3.0), 1.0), ((4, 0.5), 1), ((2, -1), 0.6)].enumerated().map { slot, example in
    var group = pair((-20 + example.0.0, -20, 4), (-15 + example.0.1, -15, 4), softLabel: example.1)
    group.slot = slot
    return group
  }

  // In order: 1 with −3 (both of group 0), 2 with −1 (both of 2), 4 with 0.5 (both of 1).
  @Test func chosenAreComparedWithRejectedByRank() throws {
    let aot = try prepared("aot_unpaired", Self.unpaired)
    #expect(isClose(aot.loss(of: Self.unpaired[0]).value, logOnePlusExp(-0.4)))
    #expect(isClose(aot.loss(of: Self.unpaired[1]).value, logOnePlusExp(-0.35)))
    #expect(isClose(aot.loss(of: Self.unpaired[2]).value, 0.6 * logOnePlusExp(-0.3) + 0.4 * logOnePlusExp(0.3)))
  }

  // With the rejected of groups 0 and 1 exchanged, their matches cross: each group owns half of each of its two matches,
  // 1 with −3 and 4 with 0.5.
  @Test func aMatchOfTwoGroupsIsSharedByThem() throws {
    var batch = Self.unpaired
    (batch[0].completions[1].policy, batch[1].completions[1].policy) = (-14.5, -18)
    let aot = try prepared("aot_unpaired", batch)
    for slot in 0..<2 {
      let loss = aot.loss(of: batch[slot])
      #expect(isClose(loss.value, (logOnePlusExp(-0.4) + logOnePlusExp(-0.35)) / 2))
      let (own, others) = slot == 0 ? (0.4, 0.35) : (0.35, 0.4)
      #expect(isClose(loss.derivatives[0], -0.1 * sigma(-own)) && isClose(loss.derivatives[1], 0.1 * sigma(-others)))
    }
  }

  @Test(arguments: ["aot", "aot_unpaired"])
  func itIsSurveyedAndItsRewardIsThatOfDPO(name: String) throws {
    let aot = try objective(name, ["beta": "0.3"])
    #expect(aot.traits == ObjectiveTraits(.pair, needsReference: true, survey: .own))
    #expect(isClose(aot.reward(Self.unpaired[0].completions[0]), 0.3))
  }
}
