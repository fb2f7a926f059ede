import AlignmentCore
import Checkpoints
import JSON
import Reports

/// Several adaptations of one policy side by side: what their last rounds came to, and how much of the gap between two of
/// them each has closed.
package struct AdaptationComparison {
  /// A run of `adalign adapt` that evaluates its rounds.
  struct Entry {
    let name: String
    let rounds: [RoundSummary]
    /// Of the first policy and of each round.
    let evaluations: [(round: Int, found: RoundEvaluation)]

    var last: RoundEvaluation { evaluations[evaluations.count - 1].found }
  }

  private let entries: [Entry]
  private let base: Entry
  private let goal: Entry

  /// - Parameters:
  ///   - runs: names, and the directories of the runs.
  ///   - base: the name of the run that has closed nothing of the gap.
  ///   - goal: the name of the run that has closed all of it.
  /// - Throws: ``Fault`` for a run without evaluations, or a name that no run has.
  package init(runs: [(name: String, directory: String)], from base: String, to goal: String) throws {
    entries = try runs.map(Self.entry)
    let find = { [entries] (name: String) throws -> Entry in
      guard let entry = entries.first(where: { $0.name == name }) else {
        throw Fault(
          .usage, "no run is called \"\(name)\"", hint: "runs are \(entries.map(\.name).joined(separator: ", "))")
      }
      return entry
    }
    self.base = try find(base)
    self.goal = try find(goal)
  }

  private static func entry(_ name: String, _ directory: String) throws -> Entry {
    let names = try FileSystem.list("\(directory)/rounds")
    let rounds = try names.compactMap(Int.init).map { try RoundSummary($0, RoundFiles(run: directory, round: $0)) }
    let evaluations = rounds.compactMap { round in round.evaluation.map { (round.round, $0) } }
    guard evaluations.contains(where: { $0.0 > 0 }) else {
      throw Fault(
        .missingInput, "has no evaluation of a round", at: directory,
        hint: "adapt with an evaluate section, and let it finish a round")
    }
    return Entry(name: name, rounds: rounds, evaluations: evaluations)
  }

  /// (score − base) / (goal − base): 1 has closed the gap; nil where it is below twice its standard error.
  private func recovered(_ entry: Entry) -> Double? {
    let gap = goal.last.score - base.last.score
    let (a, b) = (goal.last.standardError, base.last.standardError)
    // A share of a gap that may not be there says nothing.
    guard gap > 0, gap >= 2 * (a * a + b * b).squareRoot() else { return nil }
    return (entry.last.score - base.last.score) / gap
  }

  private static let titles = ["run", "score", "± s.e.", "gap recovered", "KL", "tokens"]

  /// Titles, then a row for the first policy and for each run.
  package var table: [[String]] {
    let first = base.evaluations[0]
    let start =
      first.round == 0
      ? [row("first policy", first.found, nil)] : []
    return [Self.titles] + start + entries.map { row($0.name, $0.last, recovered($0)) }
  }

  private func row(_ name: String, _ found: RoundEvaluation, _ recovered: Double?) -> [String] {
    [
      name, NumberText.fixed(found.score, places: 2), NumberText.fixed(found.standardError, places: 2),
      recovered.map { "\(Int((100 * $0).rounded())) %" } ?? "–", NumberText.fixed(found.divergence, places: 1),
      NumberText.fixed(found.tokens, places: 1),
    ]
  }
}

// MARK: - The page

extension AdaptationComparison {
  /// The same as a page that opens in any browser.
  package func html(title: String) -> String {
    var page = ReportDocument(title: title, subtitle: "gap from \(base.name) to \(goal.name)")
    addScores(to: &page)
    addCurves(to: &page)
    addRounds(to: &page)
    return page.html()
  }

  private func addScores(to page: inout ReportDocument) {
    page.heading("Scores")
    let best = entries.filter { $0.name != goal.name }.max { $0.last.score < $1.last.score }?.name
    var result = Table(Self.titles.enumerated().map { $0 == 0 ? .init($1) : .number($1) })
    for cells in table.dropFirst() { result.row(cells.map(Table.Cell.text), isBest: cells[0] == best) }
    page.table(
      result, caption: "Mean score of responses to held-out prompts; KL is from the first policy, for a response.")
    page.chart(
      BarChart(
        "score", .right, groups: entries.map(\.name),
        series: [
          .init("last round", entries.map { Estimate($0.last.score, error: 1.96 * $0.last.standardError) })
        ]), caption: "With 95 % intervals over prompts.")
  }

  private func addCurves(to page: inout ReportDocument) {
    page.heading("Round by round")
    let series = entries.map { entry in
      LineChart.Series(
        entry.name, x: entry.evaluations.map { Double($0.round) },
        y: entry.evaluations.map { Estimate($0.found.score, error: 1.96 * $0.found.standardError) })
    }
    page.chart(
      LineChart(x: Axis("round", isWhole: true), y: Axis("score"), series: series),
      caption: "Round 0 is the first policy.", width: .half)
    page.chart(
      LineChart(
        x: Axis("KL from the first policy, nats"), y: Axis("score"),
        series: entries.map { entry in
          .init(
            entry.name, x: entry.evaluations.map(\.found.divergence), y: entry.evaluations.map(\.found.score))
        }), caption: "Score against how far the policy has moved.", width: .half)
  }

  /// What is known of weights and labels of each run.
  private func addRounds(to page: inout ReportDocument) {
    for entry in entries {
      let tables = RoundTables(rounds: entry.rounds)
      guard !tables.isEmpty else { continue }
      page.heading(entry.name)
      tables.addLabels(to: &page, level: 3)
      tables.addWeights(to: &page, level: 3)
    }
  }
}
