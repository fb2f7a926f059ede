import Objectives
import Testing

/// Laws of losses that couple the examples of a batch.
@Suite struct BatchLawTests {
  static let transports = Variant.all.filter { ["aot", "aot_unpaired"].contains($0.name) }

  /// Seven groups of different log-ratios, weights and labels.
  static func batch(isPair: Bool = true) -> [ObjectiveGroup] {
    let numbers: [(SIMD2<Double>, weight: Double, softLabel: Double)] = [
      ([0.4, -1.3], 1, 1), ([2.1, 0.7], 0.5, 0.8), ([-0.6, 1.9], 2.25, 1), ([3.3, 2.6], 0.25, 0.3),
      ([1.2, -2.4], 1.5, 0),
      ([-1.7, -0.2], 3, 0.55), ([0.1, 5.2], 0.75, 1),
    ]
    return numbers.enumerated().map { slot, example in
      let reference = -20 - 1.7 * Double(slot * slot % 5)
      let first: Completion = (reference + example.0[0], reference, 5)
      let second: Completion = (reference - 3 + example.0[1], reference - 3, 6)
      var group = isPair ? pair(first, second) : single(first, isDesirable: slot % 3 != 1)
      (group.weight, group.softLabel) = (example.weight, example.softLabel)
      return group
    }
  }

  /// Σ weight · loss, everything prepared anew.
  private func loss(_ objective: any Objective, of batch: [ObjectiveGroup]) -> Double {
    var objective = objective
    objective.prepare(for: numbered(batch))
    return numbered(batch).reduce(0) { $0 + $1.weight * objective.loss(of: $1).value }
  }

  private func numbered(_ batch: [ObjectiveGroup]) -> [ObjectiveGroup] {
    batch.enumerated().map { slot, group in
      var group = group
      group.slot = slot
      return group
    }
  }

  // As for single groups; the sum of seven losses rounds at 10⁻¹⁴, and differences divide that by the step.
  static let step = 1e-5
  static let tolerance = 1e-6

  @Test(arguments: transports)
  func derivativesAreThoseOfTheBatch(_ variant: Variant) {
    let batch = numbered(Self.batch())
    var objective = variant.objective
    objective.prepare(for: batch)
    for (slot, group) in batch.enumerated() {
      let derivatives = group.weight * objective.loss(of: group).derivatives
      for index in 0..<2 {
        let expected = slope(step: Self.step) { move in
          var moved = batch
          moved[slot].completions[index].policy += move
          return loss(variant.objective, of: moved)
        }
        #expect(abs(derivatives[index] - expected) <= Self.tolerance * max(1, abs(expected)), "\(slot), \(index)")
      }
    }
  }

  // The reference point has no gradient: it is held while the loss moves.
  @Test(arguments: Variant.all.filter { $0.name == "kto" })
  func referencePointsAreHeld(_ variant: Variant) {
    let batch = numbered(Self.batch(isPair: false))
    var objective = variant.objective
    objective.prepare(for: batch)
    for group in batch {
      let expected = slope(step: Self.step) { move in
        var moved = group
        moved.completions[0].policy += move
        return objective.loss(of: moved).value
      }
      let found = objective.loss(of: group).derivatives[0]
      #expect(abs(found - expected) <= Self.tolerance * max(1, abs(expected)))
    }
  }

  @Test(arguments: transports)
  func anExampleOfWeightTwoIsTwoExamples(_ variant: Variant) {
    let batch = Self.batch()
    for slot in batch.indices {
      var (heavy, twice) = (batch, batch)
      heavy[slot].weight *= 2
      twice.insert(batch[slot], at: (slot * 3) % 7)
      #expect(isClose(loss(variant.objective, of: heavy), loss(variant.objective, of: twice)))
    }
  }

  @Test(arguments: transports)
  func anExampleOfWeightZeroIsAbsent(_ variant: Variant) {
    let batch = Self.batch()
    for slot in batch.indices {
      var (weightless, without) = (batch, batch)
      weightless[slot].weight = 0
      without.remove(at: slot)
      #expect(isClose(loss(variant.objective, of: weightless), loss(variant.objective, of: without)))
    }
  }

  @Test(arguments: transports)
  func lossesScaleWithTheWeights(_ variant: Variant) {
    let batch = Self.batch()
    let scaled = batch.map { group in
      var group = group
      group.weight *= 7
      return group
    }
    #expect(isClose(loss(variant.objective, of: scaled), 7 * loss(variant.objective, of: batch)))
  }

  @Test(arguments: transports)
  func theOrderOfTheBatchDoesNotMatter(_ variant: Variant) {
    let batch = Self.batch()
    let shuffled = [4, 1, 6, 0, 3, 5, 2].map { batch[$0] }
    #expect(isClose(loss(variant.objective, of: shuffled), loss(variant.objective, of: batch)))
  }

  @Test(arguments: transports)
  func everythingIsFiniteAtExtremes(_ variant: Variant) {
    var batch = numbered(Self.batch())
    for (slot, move) in [500.0, -500, 500, -500, 0, 250, -250].enumerated() {
      batch[slot].completions[0].policy += move
      batch[slot].completions[1].policy -= batch[6 - slot].completions[0].reference * move / 20
    }
    var objective = variant.objective
    objective.prepare(for: batch)
    for group in batch {
      let loss = objective.loss(of: group)
      #expect(loss.value.isFinite && loss.derivatives[0].isFinite && loss.derivatives[1].isFinite)
    }
  }

  @Test(arguments: transports)
  func oneExampleIsMatchedWithItself(_ variant: Variant) throws {
    // Then "AOT" is DPO.
    guard variant.settings["label_smoothing"] != nil || variant.settings.isEmpty else { return }
    var group = Self.batch()[1]
    group.slot = 0
    var objective = variant.objective
    objective.prepare(for: [group])
    let dpo = try PreferenceLoss(["dpo"], settings: variant.settings).objective.loss(of: group)
    // Half of the value and all of the derivative of each match belong to a group; here both halves are its own.
    let found = objective.loss(of: group)
    #expect(isClose(found.value, dpo.value))
    #expect(isClose(found.derivatives[0], dpo.derivatives[0]) && isClose(found.derivatives[1], dpo.derivatives[1]))
  }
}
