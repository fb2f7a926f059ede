import AlignmentCore
import Objectives
import Testing

/// What holds for every policy objective of the registry, present and future, under every option.
@Suite struct PolicyLawTests {
  static let variants = PolicyVariant.all

  // Derivatives are Float32; differences of fourth order with this step lose nine of sixteen digits.
  static let step = 1e-4
  static let tolerance = 2e-6

  @Test(arguments: variants, [1.0, -1])
  func derivativesAreThoseOfTheLoss(_ variant: PolicyVariant, advantage: Double) {
    let sample = variant.sample(advantage: advantage)
    let found = sample.evaluate(variant.objective)
    let largest = found.policy.map { Double(abs($0)) }.max() ?? 0
    for token in sample.policy.indices {
      let expected = slope(step: Self.step) { move in
        var moved = sample
        moved.policy[token] += move
        // What multiplies log π in CISPO is a constant: the ratio is held by moving the old policy along.
        if variant.settings["loss_type"] == "cispo" { moved.old[token] += move }
        return moved.loss(variant.objective)
      }
      let error = abs(Double(found.policy[token]) - expected)
      #expect(error <= Self.tolerance * max(1, largest), "token \(token): \(found.policy[token]), \(expected)")
    }
  }

  @Test(arguments: variants.filter(\.objective.needsValues))
  func derivativesOfValuesAreThoseOfTheLoss(_ variant: PolicyVariant) {
    let sample = variant.sample(advantage: 0.5)
    let found = sample.evaluate(variant.objective)
    let largest = found.values.map { Double(abs($0)) }.max() ?? 0
    for token in sample.values.indices {
      let expected = slope(step: Self.step) { move in
        var moved = sample
        moved.values[token] += move
        return moved.loss(variant.objective)
      }
      #expect(abs(Double(found.values[token]) - expected) <= Self.tolerance * max(1, largest), "token \(token)")
    }
  }

  @Test(arguments: variants)
  func everythingIsFiniteAtExtremes(_ variant: PolicyVariant) {
    for advantage in [1.0, -1] {
      for (move, other) in [(500.0, 0.0), (-500, 0), (0, 500), (0, -500)] {
        var sample = variant.sample(advantage: advantage)
        sample.policy = sample.policy.map { $0 + move }
        sample.reference = sample.reference.map { $0 + other }
        let result = sample.evaluate(variant.objective)
        let numbers = [result.loss.loss, result.loss.movement, result.loss.divergence]
        #expect(numbers.allSatisfy { $0.isFinite } && result.policy.allSatisfy { $0.isFinite }, "\(move), \(other)")
      }
    }
  }

  @Test(arguments: variants)
  func whatIsNotANumberShows(_ variant: PolicyVariant) {
    var sample = variant.sample(advantage: 1)
    sample.policy[2] = .nan
    #expect(sample.loss(variant.objective).isNaN)
  }

  @Test(arguments: variants.filter { !$0.penalizesDivergence })
  func withoutAdvantageThereIsNothingToLearn(_ variant: PolicyVariant) {
    let result = variant.sample(advantage: 0).evaluate(variant.objective)
    #expect(result.policy.allSatisfy { $0 == 0 })
    #expect(result.loss.loss == result.loss.valueLoss)
  }

  @Test(arguments: variants)
  func anAdvantageRaisesWhatItBelongsTo(_ variant: PolicyVariant) {
    guard !variant.penalizesDivergence else { return }
    for advantage in [1.0, -1] {
      var sample = variant.sample(advantage: advantage)
      sample.policy = sample.old
      let result = sample.evaluate(variant.objective)
      // With ε = 0 a ratio of 1 lies on the border of the clip and is free.
      #expect(result.policy.allSatisfy { Double($0) * advantage < 0 })
    }
  }

  // A power of two, so that it leaves the digits of a Float32 alone.
  @Test(arguments: variants)
  func theScaleIsAFactorOnDerivativesOnly(_ variant: PolicyVariant) {
    let sample = variant.sample(advantage: 1)
    let (one, eight) = (sample.evaluate(variant.objective), sample.evaluate(variant.objective, scale: 8))
    #expect(one.loss == eight.loss && one.loss == sample.evaluate(variant.objective, scale: nil).loss)
    #expect(eight.policy == one.policy.map { 8 * $0 } && eight.values == one.values.map { 8 * $0 })
  }

  // Sums of eight numbers near 1.
  static let cancellation = 1e-12

  @Test(arguments: variants.filter { $0.objective.fewestSamples > 1 })
  func advantagesWithinAGroupAddUpToNothing(_ variant: PolicyVariant) {
    var rollout = Rollout(
      rewards: [[1, 0, 0.5, 0.5], [3, -2, 7], [2, 2], [0.1, 0.1, 0.1]], lengths: [1, 2, 3, 1, 2, 2, 1, 4, 1, 2, 2, 5])
    rollout.reference = rollout.old.indices.map { -1 - 0.1 * Double($0 % 7) }
    let advantages = variant.objective.advantages(of: rollout).advantages
    for group in rollout.groups {
      let own = group.map { advantages[rollout.tokens[$0].lowerBound] }
      let largest = own.map { abs($0) }.max() ?? 0
      #expect(abs(own.reduce(0, +)) <= Self.cancellation * max(1, largest), "\(group)")
      for sample in group {
        #expect(rollout.tokens[sample].allSatisfy { advantages[$0] == own[sample - group.lowerBound] })
      }
    }
  }

  // Equal rewards may leave a rounding error, which a small deviation magnifies by 10⁴.
  @Test(arguments: ["group", "batch", "none"])
  func equalRewardsTeachNothing(scaling: String) throws {
    let objective = try policyObjective("grpo", ["scale_rewards": scaling])
    let advantages = objective.advantages(of: Rollout(rewards: [[0.1, 0.1, 0.1], [0.7, 0.7, 0.7, 0.7, 0.7]])).advantages
    #expect(advantages.allSatisfy { abs($0) < Self.cancellation })
  }

  @Test func namesAreUniqueAndOptionsDescribeThemselves() {
    let types = PolicyObjectiveRegistry.all
    #expect(Set(ObjectiveRegistry.names).count == ObjectiveRegistry.names.count)
    for type in types {
      #expect(Set(type.options.map(\.name)).count == type.options.count && !type.summary.isEmpty)
      for option in type.options { #expect(!option.meaning.isEmpty, "\(type.name).\(option.name)") }
    }
  }
}
