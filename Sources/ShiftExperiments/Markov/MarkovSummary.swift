import AlignmentCore

/// A method in a regime, over seeds. Gains are against the baseline of the same reward class: positive is better.
package struct MethodSummary: Sendable {
  package let name: String
  package let group: MarkovMethod.Group
  package let accuracy: Double
  package let negativeLogLikelihood: Double
  /// Fall of the NLL, paired by seed, with its t interval.
  package let gain: Interval
  /// Share of the NLL gap between baseline and oracle that is closed: ratio of means, bootstrap over seeds.
  package let recovered: Interval
  /// Whether the 90 % interval of ``recovered`` is within ±0.05: two one-sided tests at 5 % say that there is no effect.
  package let isNegligible: Bool
  /// Rise of the gold reward of best-of-n, paired by seed, for each n of the test.
  package let bestGains: [Interval]
  /// Mean of ESS/N.
  package let effectiveShare: Double?
  /// p of a gain of 0, adjusted by Holm's method over the methods of the regime; 1 for the baseline.
  package fileprivate(set) var studentP = 1.0
  package fileprivate(set) var wilcoxonP = 1.0
  /// Gains of each seed.
  package let gains: [Double]
}

/// A regime, over seeds.
package struct RegimeSummary: Sendable {
  package let regime: MarkovRegime
  package let diagnostics: [ShiftDiagnostics]
  package let methods: [MethodSummary]
  package let seeds: [UInt64]

  /// The summary of a method that was run.
  package subscript(name: String) -> MethodSummary {
    guard let method = methods.first(where: { $0.name == name }) else { preconditionFailure("\(name) was not run") }
    return method
  }

  /// The median of a diagnostic over seeds.
  package func median(_ diagnostic: (ShiftDiagnostics) -> Double) -> Double {
    diagnostics.map(diagnostic).sorted().quantile(0.5)
  }

  /// The mean of a diagnostic over seeds.
  package func mean(_ diagnostic: (ShiftDiagnostics) -> Double) -> Double { diagnostics.map(diagnostic).mean }

  /// - Parameter runs: of one regime, two seeds or more.
  package init(_ runs: [MarkovRun], bootstrap: Bootstrap) {
    regime = runs[0].regime
    seeds = runs.map(\.seed)
    diagnostics = runs.map(\.diagnostics)
    let table = OutcomeTable(runs: runs, bootstrap: bootstrap)
    var methods = MarkovMethod.all.filter { runs[0].outcomes[$0.name] != nil }.map(table.summary)
    let tested = methods.indices.filter { methods[$0].name != MarkovMethod.baseline(of: methods[$0].group) }
    let differences = tested.map { UnitSample(methods[$0].gains) }
    let student = holmAdjusted(differences.map(\.studentP))
    let wilcoxon = holmAdjusted(differences.map(\.wilcoxonP))
    for (place, index) in tested.enumerated() {
      methods[index].studentP = student[place]
      methods[index].wilcoxonP = wilcoxon[place]
    }
    self.methods = methods
  }
}

/// The outcomes of a regime by method and seed.
private struct OutcomeTable {
  let runs: [MarkovRun]
  let bootstrap: Bootstrap

  private func outcomes(_ method: String) -> [MarkovOutcome] {
    runs.map { run in
      guard let outcome = run.outcomes[method] else { preconditionFailure("\(method) was not run") }
      return outcome
    }
  }

  func summary(_ method: MarkovMethod) -> MethodSummary {
    let baseline = MarkovMethod.baseline(of: method.group)
    func gains(_ name: String, _ value: (MarkovOutcome) -> Double) -> [Double] {
      zip(outcomes(name).map(value), outcomes(baseline).map(value)).map(-)
    }
    func risk(_ outcome: MarkovOutcome) -> Double { -outcome.quality.negativeLogLikelihood }
    let gain = gains(method.name, risk)
    let gap = gains(MarkovMethod.oracle(of: method.group), risk)
    let strict = bootstrap.ratioOfMeans(gain, gap, level: 0.9)
    let own = outcomes(method.name)
    let shares = own.compactMap(\.effectiveShare)
    return MethodSummary(
      name: method.name, group: method.group, accuracy: own.map(\.quality.accuracy).mean,
      negativeLogLikelihood: own.map(\.quality.negativeLogLikelihood).mean,
      gain: UnitSample(gain).interval(), recovered: bootstrap.ratioOfMeans(gain, gap),
      isNegligible: strict.lower > -0.05 && strict.upper < 0.05,
      bestGains: MarkovTest.counts.indices.map { n in
        UnitSample(gains(method.name) { $0.best[n] }).interval()
      },
      effectiveShare: shares.isEmpty ? nil : shares.mean, gains: gain)
  }
}
