import AlignmentCore
import Glibc
import Objectives
import Testing

/// A dozen operations in Float64, relative to numbers that are at least 1.
let rounding = 1e-13

/// The golden numbers are given to nine decimals.
let goldenTolerance = 5e-10

func isClose(_ a: Double, _ b: Double, within tolerance: Double = rounding) -> Bool {
  abs(a - b) <= tolerance * max(1, abs(a), abs(b))
}

/// 1 / (1 + e⁻ˣ), for moderate x.
func sigma(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

/// log(1 + eˣ), for moderate x.
func logOnePlusExp(_ x: Double) -> Double { log(1 + exp(x)) }

/// The pair of the golden numbers: log-ratios c = 1 and r = −0.5, so Δ = 1.5; log-probabilities per token −2 and −1.5.
let goldenPair = pair((-10, -11, 5), (-12, -11.5, 8))

/// (log-probability under the policy, under the reference, tokens)
typealias Completion = (policy: Double, reference: Double, tokens: Int)

func pair(_ chosen: Completion, _ rejected: Completion, softLabel: Double = 1) -> ObjectiveGroup {
  ObjectiveGroup(completions: [chosen, rejected].map(scored), softLabel: softLabel)
}

func single(_ completion: Completion, isDesirable: Bool = true, softLabel: Double = 1) -> ObjectiveGroup {
  ObjectiveGroup(completions: [scored(completion)], isDesirable: isDesirable, softLabel: softLabel)
}

private func scored(_ completion: Completion) -> ScoredCompletion {
  ScoredCompletion(policy: completion.policy, reference: completion.reference, tokens: completion.tokens)
}

/// One objective with its modifiers, as a recipe makes it.
func objective(_ name: String, _ settings: [String: String] = [:]) throws -> any Objective {
  try PreferenceLoss([name], settings: settings).objective
}

/// The slope of a function by differences of fourth order (Abramowitz and Stegun 25.3.6).
func slope(at x: Double = 0, step: Double, _ f: (Double) throws -> Double) rethrows -> Double {
  let near = try f(x + step) - f(x - step)
  let far = try f(x + 2 * step) - f(x - 2 * step)
  return (8 * near - far) / (12 * step)
}

/// The fault that `body` throws; records an issue if it throws none.
func fault(
  _ kind: Fault.Kind = .configuration, sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
) -> Fault? {
  do {
    try body()
    Issue.record("no fault was thrown", sourceLocation: sourceLocation)
  } catch let fault as Fault {
    #expect(fault.kind == kind, sourceLocation: sourceLocation)
    return fault
  } catch { Issue.record(error, sourceLocation: sourceLocation) }
  return nil
}
