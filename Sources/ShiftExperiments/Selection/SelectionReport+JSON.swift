import JSON

extension SelectionReport {
  /// Everything that was found, with the gains of each seed.
  package var json: JSONValue {
    .record([
      ("experiment", .text("shift selection")), ("screening", .array(screened.map(Self.json))),
      ("measurement", .array(measured.map(Self.json))),
    ])
  }

  private static func json(_ summary: SelectionSummary) -> JSONValue {
    .record([
      ("shift", .text(summary.shift.name)), ("seeds", .array(summary.runs.map { .integer(Int64($0.seed)) })),
      ("pairs", .array(summary.runs.map { .integer(Int64($0.count)) })),
      (
        "refused_by_default_gates",
        .array(summary.runs.map { .bool($0.report.fallback != nil) })
      ),
      ("pareto_shape", .array(summary.runs.map { $0.report.tail.map { .double($0.shape) } ?? .null })),
      ("methods", .array(summary.methods.map(json))),
    ])
  }

  private static func json(_ method: SelectionMethodSummary) -> JSONValue {
    .record([
      ("name", .text(method.name)), ("accuracy", .double(method.accuracy)), ("auc", .double(method.auc)),
      ("nll", .double(method.negativeLogLikelihood)),
      ("effective_share", method.effectiveShare.map { .double($0) } ?? .null),
      ("accuracy_gain", json(method.accuracyGain)), ("gain", json(method.gain)),
      ("p_student", .double(method.studentP)),
      ("p_splits", .double(method.splitP)), ("recovered", json(method.recovered)),
      ("recovered_prompts", json(method.recoveredOverPrompts)),
      ("gains", .array(method.gains.map { .double($0) })),
    ])
  }

  /// As `[estimate, lower, upper]`; a bound that is not a number is null.
  private static func json(_ interval: Interval) -> JSONValue {
    .array([interval.estimate, interval.lower, interval.upper].map { $0.isFinite ? .double($0) : .null })
  }
}
