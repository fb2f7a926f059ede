/// A method under a shift, over seeds. Gains are against uniform weights: positive is better.
package struct SelectionMethodSummary: Sendable {
  package let name: String
  package let accuracy: Double
  package let auc: Double
  package let negativeLogLikelihood: Double
  /// Rise of the accuracy, paired by seed, with its t interval.
  package let accuracyGain: Interval
  /// Fall of the NLL, paired by seed, with its t interval.
  package let gain: Interval
  /// Share of the NLL gap between uniform and oracle that is closed: ratio of means, bootstrap over seeds.
  package let recovered: Interval
  /// The same, bootstrap over prompts: the models are given, the test is another one.
  package let recoveredOverPrompts: Interval
  /// Mean of ESS/N.
  package let effectiveShare: Double?
  /// p of a gain of 0 by the paired t test over seeds, adjusted by Holm's method over the methods of the shift.
  package fileprivate(set) var studentP = 1.0
  /// The same by the test for splits of one data set.
  package fileprivate(set) var splitP = 1.0
  /// Gains of each seed.
  package let gains: [Double]
}

/// A shift, over seeds.
package struct SelectionSummary: Sendable {
  package let shift: SelectionShift
  package let runs: [SelectionRun]
  package private(set) var methods: [SelectionMethodSummary]

  /// n_test/n_train of a split.
  static let testRatio = SelectionTrial.testShare / (1 - SelectionTrial.testShare)

  /// - Parameters:
  ///   - runs: of one shift, two seeds or more.
  ///   - prompts: resamples of all prompts.
  package init(_ runs: [SelectionRun], seeds: Bootstrap, prompts: Bootstrap) {
    shift = runs[0].shift
    self.runs = runs
    let table = SelectionTable(runs: runs, seeds: seeds, prompts: prompts)
    methods = SelectionMethod.all.map(\.name).filter { runs[0].outcomes[$0] != nil }.map(table.summary)
    let tested = methods.indices.filter { methods[$0].name != SelectionMethod.uniform.name }
    let samples = tested.map { UnitSample(methods[$0].gains) }
    let student = holmAdjusted(samples.map(\.studentP))
    let split = holmAdjusted(samples.map { $0.overSplits(testRatio: Self.testRatio).p })
    for (place, index) in tested.enumerated() {
      methods[index].studentP = student[place]
      methods[index].splitP = split[place]
    }
  }

  /// The summary of a method that was run.
  package subscript(name: String) -> SelectionMethodSummary {
    guard let method = methods.first(where: { $0.name == name }) else { preconditionFailure("\(name) was not run") }
    return method
  }

  /// What there is to recover.
  package var gap: UnitSample { UnitSample(self[SelectionMethod.oracle.name].gains) }

  /// Whether the gap's interval over seeds is above 0; shares of a gap that may be 0 mean nothing.
  package var hasGap: Bool { gap.interval().lower > 0 }
}

/// The outcomes of a shift by method and seed.
private struct SelectionTable {
  let runs: [SelectionRun]
  let seeds: Bootstrap
  let prompts: Bootstrap

  private func outcomes(_ method: String) -> [SelectionOutcome] {
    runs.map { run in
      guard let outcome = run.outcomes[method] else { preconditionFailure("\(method) was not run") }
      return outcome
    }
  }

  private func gains(_ method: String, _ value: (SelectionOutcome) -> Double) -> [Double] {
    zip(outcomes(method), outcomes(SelectionMethod.uniform.name)).map { value($0) - value($1) }
  }

  /// Fall of the summed loss on each prompt's pairs, over all seeds that test them.
  private func gainsOfPrompts(_ method: String) -> [Double] {
    var gains = [Double](repeating: 0, count: prompts.units)
    for (run, (own, uniform)) in zip(runs, zip(outcomes(method), outcomes(SelectionMethod.uniform.name))) {
      let total = run.testWeights.reduce(0, +)
      for (place, prompt) in run.testPrompts.enumerated() {
        gains[prompt] += run.testWeights[place] / total * (uniform.losses[place] - own.losses[place])
      }
    }
    return gains
  }

  func summary(_ method: String) -> SelectionMethodSummary {
    func risk(_ outcome: SelectionOutcome) -> Double { -outcome.quality.negativeLogLikelihood }
    let own = outcomes(method)
    let oracle = SelectionMethod.oracle.name
    let gain = gains(method, risk)
    let shares = own.compactMap(\.effectiveShare)
    return SelectionMethodSummary(
      name: method, accuracy: own.map(\.quality.accuracy).mean, auc: own.map(\.quality.auc).mean,
      negativeLogLikelihood: own.map(\.quality.negativeLogLikelihood).mean,
      accuracyGain: UnitSample(gains(method, \.quality.accuracy)).interval(), gain: UnitSample(gain).interval(),
      recovered: seeds.ratioOfMeans(gain, gains(oracle, risk)),
      recoveredOverPrompts: prompts.ratioOfMeans(gainsOfPrompts(method), gainsOfPrompts(oracle)),
      effectiveShare: shares.isEmpty ? nil : shares.mean, gains: gain)
  }
}
