import JSON

extension MarkovReport {
  /// Everything that was found, with the gains of each seed.
  package var json: JSONValue {
    .record([
      ("experiment", .text("shift markov")), ("passed", .bool(isAcceptable)),
      ("regimes", .array(regimes.map(Self.json))),
      ("law", Self.json(law)), ("claims", .array(checks.map(Self.json))),
    ])
  }

  private static func json(_ summary: RegimeSummary) -> JSONValue {
    .record([
      ("name", .text(summary.regime.name)), ("length", .integer(Int64(summary.regime.length))),
      ("shift", .double(summary.regime.shift)), ("seeds", .array(summary.seeds.map { .integer(Int64($0)) })),
      ("diagnostics", .array(summary.diagnostics.map(json))), ("methods", .array(summary.methods.map(json))),
    ])
  }

  static func json(_ diagnostics: ShiftDiagnostics) -> JSONValue {
    .record([
      ("divergence", .double(diagnostics.divergence)), ("pareto_shape", .double(diagnostics.paretoShape)),
      ("effective_share", .double(diagnostics.rawShare)), ("mean_ratio", .double(diagnostics.meanRatio)),
      ("exponent", .double(diagnostics.exponent)), ("auc", .double(diagnostics.auc)),
      ("raw_refused", .bool(diagnostics.rawIsRefused)),
    ])
  }

  private static func json(_ method: MethodSummary) -> JSONValue {
    .record([
      ("name", .text(method.name)), ("group", .text(method.group.rawValue)),
      ("accuracy", .double(method.accuracy)), ("nll", .double(method.negativeLogLikelihood)),
      ("gain", json(method.gain)), ("recovered", json(method.recovered)), ("negligible", .bool(method.isNegligible)),
      ("best_gains", .array(method.bestGains.map(json))),
      ("effective_share", method.effectiveShare.map { .double($0) } ?? .null), ("p_student", .double(method.studentP)),
      ("p_wilcoxon", .double(method.wilcoxonP)), ("gains", .array(method.gains.map { .double($0) })),
    ])
  }

  private static func json(_ law: TemperLaw) -> JSONValue {
    .record([
      ("shift", .double(law.shift)), ("slope", json(law.slope)),
      (
        "points",
        .array(
          law.points.map { point in
            .record([
              ("length", .integer(Int64(point.length))), ("exponent", json(point.exponent)),
              ("exponent_sqrt_length", json(point.scaled)),
              ("effective_share", .double(point.rawShare)),
            ])
          })
      ),
    ])
  }

  private static func json(_ check: MarkovCheck) -> JSONValue {
    .record([
      ("claim", .text(check.claim)), ("regime", .text(check.regime)),
      ("required", .bool(check.isRequired)), ("evidence", json(check.evidence)),
      ("verdict", .text(check.verdict.rawValue)),
    ])
  }

  private static func json(_ interval: Interval) -> JSONValue {
    .array([.double(interval.estimate), .double(interval.lower), .double(interval.upper)])
  }
}
