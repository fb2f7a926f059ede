import Adaptation

/// One seed of one shift.
package struct SelectionRun: Sendable {
  package let shift: SelectionShift
  package let seed: UInt64
  /// Pairs of the source; the target has as many.
  package let count: Int
  /// The prompts of the test's pairs, and how much each pair counts.
  let testPrompts: [Int]
  let testWeights: [Double]
  /// What the default gates say of the true ratio, flattened to half of the effective sample size.
  package let report: WeightReport
  /// By the name of the method.
  package let outcomes: [String: SelectionOutcome]
}

/// Experiment R1: reward models of real, labelled pairs under a bias of selection whose ratio is known.
package struct SelectionExperiment: Sendable {
  /// Seeds of the screening are further than this from those of the measurement.
  private static let screeningOffset: UInt64 = 1_000_000

  package let pairs: SelectionPairs
  package var seeds: [UInt64]
  /// Precision of the prior of coefficients.
  package var ridge: Double

  package init(_ pairs: SelectionPairs, seeds: [UInt64], ridge: Double) {
    (self.pairs, self.seeds, self.ridge) = (pairs, seeds, ridge)
  }

  /// Whether there is anything to recover: uniform and oracle under each shift, with seeds of their own.
  package func screen(progress: (String) -> Void = { _ in }) throws -> [SelectionRun] {
    try run(
      SelectionShift.all, methods: [.uniform, .oracle], seeds: seeds.map { $0 + Self.screeningOffset }, progress)
  }

  /// All methods under some shifts.
  package func run(_ shifts: [SelectionShift], progress: (String) -> Void = { _ in }) throws -> [SelectionRun] {
    try run(shifts, methods: SelectionMethod.all, seeds: seeds, progress)
  }

  private func run(
    _ shifts: [SelectionShift], methods: [SelectionMethod], seeds: [UInt64], _ progress: (String) -> Void
  ) throws -> [SelectionRun] {
    try shifts.flatMap { shift in
      let runs = try seeds.map { try run(shift, seed: $0, methods) }
      progress("\(shift.name): \(methods.count) methods, \(seeds.count) seeds")
      return runs
    }
  }

  private func run(_ shift: SelectionShift, seed: UInt64, _ methods: [SelectionMethod]) throws -> SelectionRun {
    let trial = SelectionTrial(pairs, shift, seed: seed, ridge: ridge)
    var outcomes: [String: SelectionOutcome] = [:]
    for method in methods { outcomes[method.name] = trial.outcome(of: try method.prepare(trial)) }
    return SelectionRun(
      shift: shift, seed: seed, count: trial.source.count, testPrompts: trial.test.map { pairs.prompts[$0] },
      testWeights: trial.testWeights, report: try trial.weights(.exact, WeightSettings()).report, outcomes: outcomes)
  }
}
