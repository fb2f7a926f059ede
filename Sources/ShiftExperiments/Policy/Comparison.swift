import JSON

/// A number that methods are compared by.
package struct Measure: Sendable, Equatable {
  package let name: String
  /// Whether less of it is better.
  package let isLoss: Bool
  let decimals: Int

  package init(_ name: String, isLoss: Bool = false, decimals: Int) {
    (self.name, self.isLoss, self.decimals) = (name, isLoss, decimals)
  }
}

/// What became of one method in one trial.
package struct MethodOutcome: Sendable, Equatable {
  /// One number for each measure.
  package let values: [Double]
  /// ESS/N of the source's weights, where there are any.
  package let effectiveShare: Double?
  package let curve: PolicyCurve?

  package init(_ values: [Double], effectiveShare: Double? = nil, curve: PolicyCurve? = nil) {
    (self.values, self.effectiveShare, self.curve) = (values, effectiveShare, curve)
  }
}

/// One seed of one regime.
package struct ComparisonRun: Sendable {
  package let regime: String
  package let seed: UInt64
  package let diagnostics: ShiftDiagnostics
  /// By the name of the method.
  package let outcomes: [String: MethodOutcome]

  package init(regime: String, seed: UInt64, diagnostics: ShiftDiagnostics, outcomes: [String: MethodOutcome]) {
    (self.regime, self.seed, self.diagnostics, self.outcomes) = (regime, seed, diagnostics, outcomes)
  }
}

/// A method by one measure, over seeds.
package struct Contrast: Sendable {
  package let mean: Double
  /// Gains over the baseline, positive where the method is better, of each seed.
  package let gains: [Double]
  /// Their mean with its t interval.
  package let gain: Interval
  /// Share of the gap between baseline and oracle that is closed: ratio of means, bootstrap over seeds. nil where the gap's own
  /// interval holds 0: shares of such a gap mean nothing.
  package let recovered: Interval?
  /// p of a gain of 0 by the t test, adjusted by Holm's method over the methods; 1 for the baseline.
  package fileprivate(set) var p = 1.0
}

/// The methods of a regime, paired by seed.
package struct Comparison: Sendable {
  package let regime: String
  package let runs: [ComparisonRun]
  package let methods: [PolicyMethod]
  package let measures: [Measure]
  /// By method, then by measure, in their orders.
  package private(set) var contrasts: [[Contrast]]

  /// - Parameter runs: of one regime, two seeds or more, with the baseline and the oracle among the methods.
  package init(_ runs: [ComparisonRun], _ measures: [Measure], _ bootstrap: Bootstrap) {
    (self.runs, self.measures) = (runs, measures)
    regime = runs[0].regime
    methods = PolicyMethod.all.filter { runs[0].outcomes[$0.name] != nil }
    contrasts = methods.map { method in
      measures.indices.map { Self.contrast(method.name, measures[$0], $0, runs, bootstrap) }
    }
    let tested = methods.indices.filter { methods[$0].name != PolicyMethod.uniform.name }
    for measure in measures.indices {
      let adjusted = holmAdjusted(tested.map { UnitSample(contrasts[$0][measure].gains).studentP })
      for (place, method) in tested.enumerated() { contrasts[method][measure].p = adjusted[place] }
    }
  }

  private static func contrast(
    _ method: String, _ measure: Measure, _ place: Int, _ runs: [ComparisonRun], _ bootstrap: Bootstrap
  ) -> Contrast {
    func values(_ name: String) -> [Double] {
      runs.map { run in
        guard let outcome = run.outcomes[name] else { preconditionFailure("\(name) was not run") }
        return outcome.values[place]
      }
    }
    func gains(_ name: String) -> [Double] {
      zip(values(name), values(PolicyMethod.uniform.name)).map { measure.isLoss ? $1 - $0 : $0 - $1 }
    }
    let (own, gap) = (gains(method), gains(PolicyMethod.oracle.name))
    let hasGap = UnitSample(gap).interval().lower > 0
    return Contrast(
      mean: values(method).mean, gains: own, gain: UnitSample(own).interval(),
      recovered: hasGap ? bootstrap.ratioOfMeans(own, gap) : nil)
  }

  /// The contrast of a method and a measure that were run.
  package subscript(method: String, measure: String) -> Contrast {
    guard let row = methods.firstIndex(where: { $0.name == method }),
      let column = measures.firstIndex(where: { $0.name == measure })
    else { preconditionFailure("\(method) by \(measure) was not measured") }
    return contrasts[row][column]
  }

  /// The gain of one method over another by a measure, paired by seed.
  package func gain(of method: String, over other: String, by measure: String) -> UnitSample {
    UnitSample(self[method, measure].gains, minus: self[other, measure].gains)
  }

  package static func all(_ runs: [ComparisonRun], _ measures: [Measure]) -> [Comparison] {
    let bootstrap = Bootstrap(units: Set(runs.map(\.seed)).count, seed: 0)
    var regimes: [String] = []
    for run in runs where !regimes.contains(run.regime) { regimes.append(run.regime) }
    return regimes.map { regime in Comparison(runs.filter { $0.regime == regime }, measures, bootstrap) }
  }
}
