import AlignmentCore
import Foundation
import Objectives
import Testing

/// Loss and derivatives of one group.
func evaluate(_ objective: any Objective, _ group: ObjectiveGroup) -> (loss: Double, derivatives: [Double]) {
  var derivatives = Array(repeating: Double.nan, count: group.completions.count)
  return (objective.evaluate(group, derivatives: &derivatives), derivatives)
}

/// A group of completions of seven tokens from log-probabilities (policy, reference).
func group(_ logps: [(policy: Double, reference: Double)], softLabel: Double = 1, margin: Double = 0) -> ObjectiveGroup
{
  ObjectiveGroup(
    completions: logps.map { CompletionLogProbability(policy: $0.policy, reference: $0.reference, tokens: 7) },
    softLabel: softLabel, margin: margin)
}

@Suite struct DPOTests {
  // The golden numbers are given to nine decimals.
  static let goldenTolerance = 5e-10
  // A few operations in Float64.
  static let rounding = 1e-14

  // Log-ratios −10 − −11 = 1 and −12 − −11.5 = −0.5: Δ = 1.5, z = 0.15, −log σ(0.15) = log(1 + e^−0.15).
  static let golden = [(policy: -10.0, reference: -11.0), (policy: -12.0, reference: -11.5)]

  @Test func goldenValue() throws {
    let (loss, derivatives) = evaluate(try ObjectiveRegistry.make("dpo", settings: ["beta": "0.1"]), group(Self.golden))
    #expect(abs(loss - 0.620957048) < Self.goldenTolerance)
    #expect(abs(loss - log(1 + exp(-0.15))) < Self.rounding)
    // ∂loss/∂z = −σ(−0.15), and z grows by β with the chosen log-probability.
    #expect(abs(derivatives[0] - -0.1 / (1 + exp(0.15))) < Self.rounding)
    #expect(derivatives[1] == -derivatives[0])
  }

  // 0.8·log(1 + e^−0.15) + 0.2·log(1 + e^0.15), the second being the first plus 0.15: 0.620957048 + 0.2·0.15.
  @Test func labelSmoothingIsConservative() throws {
    let objective = try ObjectiveRegistry.make("dpo", settings: ["beta": "0.1", "label_smoothing": "0.2"])
    let (loss, derivatives) = evaluate(objective, group(Self.golden))
    #expect(abs(loss - 0.650957048) < Self.goldenTolerance)
    #expect(abs(derivatives[0] - 0.1 * (1 / (1 + exp(-0.15)) - 0.8)) < Self.rounding)
  }

  // A label that is right with probability q is a smoothed one; both together: right with q(1 − ε) + (1 − q)ε.
  @Test func softLabelsMixTheTwoOrders() throws {
    let plain = try ObjectiveRegistry.make("dpo", settings: ["beta": "0.1"])
    let smoothed = try ObjectiveRegistry.make("dpo", settings: ["beta": "0.1", "label_smoothing": "0.2"])
    let swapped = evaluate(plain, group(Self.golden.reversed())).loss
    let ordered = evaluate(plain, group(Self.golden)).loss
    for q in [0, 0.25, 0.5, 1] {
      #expect(
        abs(evaluate(plain, group(Self.golden, softLabel: q)).loss - (q * ordered + (1 - q) * swapped)) < Self.rounding)
      let right = q * 0.8 + (1 - q) * 0.2
      let mixed = right * ordered + (1 - right) * swapped
      #expect(abs(evaluate(smoothed, group(Self.golden, softLabel: q)).loss - mixed) < Self.rounding)
    }
  }

  @Test func withoutPreferenceTheLossIsLogTwo() throws {
    let (loss, derivatives) = evaluate(try ObjectiveRegistry.make("dpo"), group([(-3, -4), (-9, -10)]))
    #expect(abs(loss - log(2)) < Self.rounding)
    // β is 0.1 by default: ∓β/2.
    #expect(abs(derivatives[0] - -0.05) < Self.rounding && abs(derivatives[1] - 0.05) < Self.rounding)
  }

  @Test func theRewardIsBetaTimesTheLogRatio() throws {
    let objective = try ObjectiveRegistry.make("dpo", settings: ["beta": "0.3"])
    let reward = objective.reward(CompletionLogProbability(policy: -10, reference: -12, tokens: 1))
    #expect(abs(try #require(reward) - 0.6) < Self.rounding)
  }
}

@Suite struct SFTTests {
  @Test func isTheNegativeLogLikelihood() throws {
    let objective = try ObjectiveRegistry.make("sft")
    let (loss, derivatives) = evaluate(objective, group([(-12.5, -99)]))
    #expect(loss == 12.5 && derivatives == [-1])
    #expect(objective.reward(CompletionLogProbability(policy: -1, tokens: 1)) == nil)
    #expect(type(of: objective).normalizationUnit == .tokens && !type(of: objective).needsReference)
  }
}
