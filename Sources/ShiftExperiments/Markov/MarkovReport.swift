/// What experiment E1 found, for people.
package struct MarkovReport: Sendable {
  package let regimes: [RegimeSummary]
  package let law: TemperLaw
  package let checks: [MarkovCheck]

  /// - Parameter runs: of all regimes.
  package init(_ runs: [MarkovRun], law: TemperLaw) {
    let seeds = Set(runs.map(\.seed)).count
    let bootstrap = Bootstrap(units: seeds, seed: 0)
    regimes = MarkovRegime.all.compactMap { regime in
      let own = runs.filter { $0.regime == regime }
      return own.isEmpty ? nil : RegimeSummary(own, bootstrap: bootstrap)
    }
    self.law = law
    checks = MarkovCheck.all(regimes, bootstrap)
  }

  /// Whether every required claim holds at least on average.
  package var isAcceptable: Bool { checks.allSatisfy(\.isAcceptable) }

  /// All tables.
  package var markdown: String {
    ([
      ("Regimes", regimeTable), ("Share of the NLL gap recovered", recoveredTable),
      ("Accuracy and best-of-64", qualityTable), ("τ against length", lawTable), ("Claims", checkTable),
    ] + regimes.map { ("All figures of regime \($0.regime.name)", Self.fullTable($0)) })
    .map { "### \($0.0)\n\n\($0.1.text)" }.joined(separator: "\n")
  }

  private var regimeTable: MarkdownTable {
    var table = MarkdownTable(["", "T", "κ", "KL", "k̂", "ESS/N", "mean ratio", "AUC", "τ", "raw refused", "gap in NLL"])
    for summary in regimes {
      let refused = summary.diagnostics.count(where: \.rawIsRefused)
      table.append([
        summary.regime.name, "\(summary.regime.length)", summary.regime.shift.fixed(2),
        summary.mean(\.divergence).fixed(2), summary.median(\.paretoShape).fixed(2),
        summary.median(\.rawShare).fixed(4),
        summary.median(\.meanRatio).fixed(2), summary.mean(\.auc).fixed(2), summary.mean(\.exponent).fixed(3),
        "\(refused)/\(summary.seeds.count)", summary["oracle"].gain.text(4),
      ])
    }
    return table
  }

  private func methods(of group: MarkovMethod.Group) -> [String] {
    regimes.first.map { $0.methods.filter { $0.group == group }.map(\.name) } ?? []
  }

  /// A row for each method, and a line for each group before its own.
  private func methodTable(_ columns: [String], _ cells: (RegimeSummary, MethodSummary) -> [String]) -> MarkdownTable {
    var table = MarkdownTable(["method"] + columns)
    for group in MarkovMethod.Group.allCases {
      table.append(["*\(group.rawValue)*"] + columns.map { _ in "" })
      for name in methods(of: group) {
        table.append([name] + regimes.flatMap { cells($0, $0[name]) })
      }
    }
    return table
  }

  private var recoveredTable: MarkdownTable {
    methodTable(regimes.map(\.regime.name)) { _, method in
      method.name == MarkovMethod.baseline(of: method.group) ? ["0"] : [Self.marked(method)]
    }
  }

  /// The share recovered; * and † mark a gain that differs from 0 at 5 % after Holm's correction, by the t test and by
  /// Wilcoxon's; ≈ marks that there is no effect.
  private static func marked(_ method: MethodSummary) -> String {
    let marks = (method.studentP < 0.05 ? "*" : "") + (method.wilcoxonP < 0.05 ? "†" : "")
    return (method.isNegligible ? "≈ " : "") + method.recovered.text(2) + marks
  }

  private var qualityTable: MarkdownTable {
    methodTable(regimes.flatMap { ["\($0.regime.name): accuracy", "best-of-64"] }) { _, method in
      [method.accuracy.fixed(4), method.bestGains[1].text(2)]
    }
  }

  private var lawTable: MarkdownTable {
    var table = MarkdownTable(["T", "ESS/N of raw weights", "τ", "τ·√T"])
    for point in law.points {
      table.append(["\(point.length)", point.rawShare.fixed(4), point.exponent.text(3), point.scaled.text(2)])
    }
    table.append(["slope of log τ against log T", "", law.slope.text(3), ""])
    return table
  }

  private var checkTable: MarkdownTable {
    let places = regimes.map(\.regime.name) + ["all"]
    var table = MarkdownTable(["claim"] + places)
    for claim in checks.map(\.claim).removingRepeats() {
      let own = checks.filter { $0.claim == claim }
      let note = own.allSatisfy(\.isRequired) ? "" : " (not required)"
      table.append(
        [claim + note]
          + places.map { place in
            own.first { $0.regime == place }.map { "\($0.verdict.rawValue): \($0.evidence.text(4))" } ?? ""
          })
    }
    return table
  }

  private static func fullTable(_ summary: RegimeSummary) -> MarkdownTable {
    var table = MarkdownTable([
      "method", "ESS/N", "NLL", "gain in NLL", "p (t)", "p (Wilcoxon)", "recovered", "best-of-16", "best-of-64",
      "best-of-256",
    ])
    for method in summary.methods {
      table.append(
        [
          method.name, method.effectiveShare?.fixed(3) ?? "", method.negativeLogLikelihood.fixed(4),
          method.gain.text(4), method.studentP.asProbability, method.wilcoxonP.asProbability, method.recovered.text(2),
        ] + method.bestGains.map { $0.text(2) })
    }
    return table
  }
}

extension [String] {
  /// The first of each, in order.
  fileprivate func removingRepeats() -> [String] {
    var seen = Set<String>()
    return filter { seen.insert($0).inserted }
  }
}
