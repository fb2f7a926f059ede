import JSON

/// Tables of an experiment with policies.
package struct ComparisonReport: Sendable {
  package let name: String
  package let comparisons: [Comparison]
  /// Pairs of methods of which the first is claimed to be better.
  package let claims: [(better: String, worse: String)]

  package init(
    _ name: String, _ runs: [ComparisonRun], _ measures: [Measure],
    claims: [(better: String, worse: String)] = ComparisonReport.claims
  ) {
    self.name = name
    comparisons = Comparison.all(runs, measures)
    let run = Set(comparisons[0].methods.map(\.name))
    self.claims = claims.filter { run.isSuperset(of: [$0.better, $0.worse]) }
  }

  /// What rows 1, 2, 4, 6 and 7 of the earlier experiments and the recipes would lead one to expect.
  package static let claims = [
    (better: "uniform", worse: "raw"), ("uniform", "PSIS"), ("ESS 0.5", "uniform"), ("ESS 0.5", "raw"),
    ("discriminator, ESS 0.5", "uniform"), ("self-training", "uniform"), ("teacher", "uniform"),
    ("teacher of ESS 0.5", "teacher"), ("teacher of discriminator", "teacher"), ("judge 20 %", "uniform"),
    ("uniform + judge", "judge 20 %"), ("ESS 0.5 + judge", "uniform + judge"),
    ("discriminator + judge", "uniform + judge"), ("discriminator at its ESS + judge", "uniform + judge"),
    ("teacher + judge", "judge 20 %"), ("weighted teacher + judge", "teacher + judge"),
    ("uniform + teacher + judge", "teacher + judge"), ("combined, source in full", "teacher + judge"),
    ("combined, source in full", "uniform + teacher + judge"),
    ("combined, source at its ESS", "combined, source in full"), ("combined, source in full", "discriminator, ESS 0.5"),
    ("combined, source in full", "uniform"),
  ]

  /// All tables.
  package var markdown: String {
    let head = ["The shifts", diagnosticsTable.text]
    let tables = comparisons.flatMap { ["\($0.regime): all methods", Self.methodTable($0).text] }
    let tail = measures.flatMap { ["Claims by \($0.name)", claimTable($0.name).text] }
    let parts = head + tables + tail
    return stride(from: 0, to: parts.count, by: 2).map { "### \(parts[$0])\n\n\(parts[$0 + 1])" }
      .joined(separator: "\n")
  }

  private var measures: [Measure] { comparisons[0].measures }

  private var diagnosticsTable: MarkdownTable {
    var table = MarkdownTable(["", "KL", "k̂", "ESS/N", "mean ratio", "AUC", "τ", "raw refused"])
    for comparison in comparisons {
      let all = comparison.runs.map(\.diagnostics)
      func median(_ value: (ShiftDiagnostics) -> Double) -> Double { all.map(value).sorted().quantile(0.5) }
      table.append([
        comparison.regime, all.map(\.divergence).mean.fixed(2), median(\.paretoShape).fixed(2),
        median(\.rawShare).fixed(4), median(\.meanRatio).fixed(2), median(\.auc).fixed(2), median(\.exponent).fixed(3),
        "\(all.count(where: \.rawIsRefused))/\(all.count)",
      ])
    }
    return table
  }

  private static func methodTable(_ comparison: Comparison) -> MarkdownTable {
    var table = MarkdownTable(
      ["method", "ESS/N"] + comparison.measures.flatMap { [$0.name, "gain", "recovered"] })
    for group in PolicyMethod.Group.allCases {
      let own = comparison.methods.indices.filter { comparison.methods[$0].group == group }
      guard !own.isEmpty else { continue }
      table.append(["*\(group.rawValue)*", ""] + comparison.measures.flatMap { _ in ["", "", ""] })
      for index in own {
        let name = comparison.methods[index].name
        let shares = comparison.runs.compactMap { $0.outcomes[name]?.effectiveShare }
        table.append(
          [name, shares.isEmpty ? "" : shares.mean.fixed(3)]
            + zip(comparison.measures, comparison.contrasts[index]).flatMap(cells))
      }
    }
    return table
  }

  /// Mean, gain and share recovered; * marks a gain that differs from 0 at 5 % after Holm's correction.
  private static func cells(_ measure: Measure, _ contrast: Contrast) -> [String] {
    [
      contrast.mean.fixed(measure.decimals), contrast.gain.text(measure.decimals) + (contrast.p < 0.05 ? "*" : ""),
      contrast.recovered?.text(2) ?? "–",
    ]
  }

  private func claimTable(_ measure: String) -> MarkdownTable {
    var table = MarkdownTable(["claim"] + comparisons.map(\.regime))
    for (better, worse) in claims {
      table.append(
        ["\(better) > \(worse)"]
          + comparisons.map { comparison in
            let gain = comparison.gain(of: better, over: worse, by: measure).interval()
            return "\(MarkovCheck.Verdict(gain).rawValue): \(gain.text(4))"
          })
    }
    return table
  }
}

extension ComparisonReport {
  /// Everything that was found, with the outcomes of each seed.
  package var json: JSONValue {
    .record([
      ("experiment", .text(name)), ("measures", .array(measures.map { .text($0.name) })),
      ("regimes", .array(comparisons.map(Self.json))),
    ])
  }

  private static func json(_ comparison: Comparison) -> JSONValue {
    .record([
      ("name", .text(comparison.regime)),
      (
        "runs",
        .array(
          comparison.runs.map { run in
            .record([
              ("seed", .integer(Int64(run.seed))), ("diagnostics", MarkovReport.json(run.diagnostics)),
              ("methods", .array(comparison.methods.map { json($0.name, run.outcomes[$0.name]) })),
            ])
          })
      ),
    ])
  }

  private static func json(_ name: String, _ outcome: MethodOutcome?) -> JSONValue {
    .record([
      ("name", .text(name)), ("values", .array((outcome?.values ?? []).map { .double($0) })),
      ("effective_share", outcome?.effectiveShare.map { .double($0) } ?? .null),
      (
        "curve",
        .array(
          (outcome?.curve?.points ?? []).map {
            .array([.integer(Int64($0.step)), .double($0.divergence), .double($0.reward)])
          })
      ),
    ])
  }
}
