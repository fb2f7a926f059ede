/// What experiment R1 found.
package struct SelectionReport: Sendable {
  /// Uniform and oracle under every shift.
  package let screened: [SelectionSummary]
  /// All methods under the shifts of ``selected(_:)``.
  package let measured: [SelectionSummary]

  /// - Parameter prompts: distinct prompts of the data.
  package init(screening: [SelectionRun], measurement: [SelectionRun], prompts: Int) {
    screened = Self.summaries(screening, prompts)
    measured = Self.summaries(measurement, prompts)
  }

  private static func summaries(_ runs: [SelectionRun], _ prompts: Int) -> [SelectionSummary] {
    let seeds = Bootstrap(units: Set(runs.map(\.seed)).count, seed: 0)
    let clusters = Bootstrap(units: prompts, resamples: 2_000, seed: 1)
    return SelectionShift.all.compactMap { shift in
      let own = runs.filter { $0.shift == shift }
      return own.isEmpty ? nil : SelectionSummary(own, seeds: seeds, prompts: clusters)
    }
  }

  /// The shift of the pilot, and those for which the screening finds a gap at 5 % after Holm's correction.
  package static func selected(_ screening: [SelectionRun], prompts: Int) -> [SelectionShift] {
    let summaries = summaries(screening, prompts)
    let p = holmAdjusted(summaries.map(\.gap.studentP))
    return zip(summaries, p).filter { summary, p in
      summary.shift == SelectionShift(.lengthRatio, sourceIsHigh: true) || p < 0.05 && summary.gap.mean > 0
    }.map(\.0.shift)
  }

  /// All tables.
  package var markdown: String {
    ([("Screening: which selection leaves a gap", screeningTable)]
      + measured.map { ("\($0.shift.name): all methods", Self.methodTable($0)) })
      .map { "### \($0.0)\n\n\($0.1.text)" }.joined(separator: "\n")
  }

  private var screeningTable: MarkdownTable {
    var table = MarkdownTable([
      "selection by", "N", "accuracy, source → target", "gap in NLL", "p (t, Holm)", "corrected for splits",
    ])
    let p = holmAdjusted(screened.map(\.gap.studentP))
    for (summary, p) in zip(screened, p) {
      let (uniform, oracle) = (summary[SelectionMethod.uniform.name], summary[SelectionMethod.oracle.name])
      table.append([
        summary.shift.name, summary.runs.map { Double($0.count) }.mean.fixed(0),
        "\(uniform.accuracy.fixed(3)) → \(oracle.accuracy.fixed(3))", oracle.gain.text(4), p.asProbability,
        summary.gap.overSplits(testRatio: SelectionSummary.testRatio).interval.text(4),
      ])
    }
    return table
  }

  private static func methodTable(_ summary: SelectionSummary) -> MarkdownTable {
    var table = MarkdownTable([
      "method", "ESS/N", "accuracy", "AUC", "NLL", "gain in NLL", "p (t)", "p (splits)", "recovered (seeds)",
      "recovered (prompts)",
    ])
    for method in summary.methods {
      let quality = [method.accuracy.fixed(4), method.auc.fixed(4), method.negativeLogLikelihood.fixed(4)]
      let recovered = summary.hasGap ? [method.recovered.text(2), method.recoveredOverPrompts.text(2)] : ["–", "–"]
      let tests = [method.gain.text(4), method.studentP.asProbability, method.splitP.asProbability] + recovered
      let isBaseline = method.name == SelectionMethod.uniform.name
      table.append(
        [method.name, method.effectiveShare?.fixed(2) ?? ""] + quality + (isBaseline ? tests.map { _ in "" } : tests))
    }
    return table
  }
}
