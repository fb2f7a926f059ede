import AlignmentCore
import JSON
import Reports

/// The story of an adaptation as a page: scores, labels and weights, round by round.
struct RoundsPage {
  let title: String
  let summaries: [RoundSummary]
  let configuration: AdaptationConfiguration

  init(title: String, summaries: [RoundSummary], _ configuration: AdaptationConfiguration) {
    self.title = title
    self.summaries = summaries
    self.configuration = configuration
  }

  var html: String {
    var page = ReportDocument(title: title, subtitle: "adalign adapt, rounds so far: \(summaries.count - 1)")
    addScores(to: &page)
    let tables = RoundTables(rounds: summaries)
    tables.addLabels(to: &page, level: 2)
    tables.addWeights(to: &page, level: 2)
    page.details("settings", configuration.settings.yaml)
    return page.html()
  }

  private func addScores(to page: inout ReportDocument) {
    let known = summaries.compactMap { summary in summary.evaluation.map { (round: summary.round, $0) } }
    guard !known.isEmpty, let judge = configuration.evaluation?.judge.name else { return }
    page.heading("Score of held-out prompts")
    let rounds = known.map { Double($0.round) }
    // 95 % by the normal approximation.
    let scores = known.map { Estimate($0.1.score, error: 1.96 * $0.1.standardError) }
    page.chart(
      LineChart(
        x: Axis("round", isWhole: true), y: Axis("score by \(judge)"), series: [.init("policy", x: rounds, y: scores)]),
      caption:
        "Mean score of responses to \(known[0].1.prompts) prompts with 95 % intervals; round 0 is the policy at first.",
      width: .half)
    page.chart(
      LineChart(
        x: Axis("KL from the first policy, nats"), y: Axis("score by \(judge)"),
        series: [.init("policy", x: known.map { $0.1.divergence }, y: scores)]),
      caption: "The same against how far the policy has moved.", width: .half)
    var table = Table([
      .number("round"), .number("score"), .number("± s.e."), .number("KL"), .number("tokens"), .number("ended"),
    ])
    let best = known.map { $0.1.score }.max()
    for (round, found) in known {
      table.row(
        [
          "\(round)", .text(NumberText.fixed(found.score, places: 3)),
          .text(NumberText.fixed(found.standardError, places: 3)), .text(NumberText.fixed(found.divergence, places: 2)),
          .text(NumberText.fixed(found.tokens, places: 1)),
          .text("\(NumberText.fixed(100 * found.finished, places: 1)) %"),
        ], isBest: found.score == best)
    }
    page.table(table)
  }
}

/// What is known of labels and weights of rounds, in tables.
struct RoundTables {
  let rounds: [RoundSummary]

  var isEmpty: Bool { rounds.allSatisfy { $0.labels == nil && $0.weights == nil } }

  func addLabels(to page: inout ReportDocument, level: Int) {
    let known = rounds.compactMap { summary in summary.labels.map { (round: summary.round, json: $0) } }
    guard !known.isEmpty else { return }
    page.heading("Labels", level: level)
    var table = Table([
      .number("round"), .number("expert's"), .number("proposed"), .number("kept"), .number("by judge"),
      .number("confidence"),
      .number("consistency"), .number("longer wins"),
    ])
    for (round, json) in known {
      let text = { (key: ByteString) -> Table.Cell in .text(json[key]?.doubleValue.map { NumberText.brief($0) } ?? "–")
      }
      let expert = rounds.first { $0.round == round }?.expert?["judged"]?.doubleValue
      table.row([
        "\(round)", .text(expert.map { NumberText.brief($0) } ?? "–"), text("proposed"), text("kept"), text("judged"),
        text("mean_confidence"), text("consistency"),
        text("longer_wins"),
      ])
    }
    page.table(
      table,
      caption: """
        What became of the pairs of the policy's responses; the expert's were answered for the reward model to learn from; \
        consistency is over both orders.
        """)
    let reasons = Set(known.flatMap { $0.json["dropped"]?.objectValue?.members.map(\.key.description) ?? [] }).sorted()
    guard !reasons.isEmpty else { return }
    page.chart(
      BarChart(
        "pairs dropped", groups: known.map { "round \($0.round)" },
        series: reasons.map { reason in
          .init(reason, known.map { $0.json["dropped"]?[ByteString(reason)]?.doubleValue ?? 0 })
        }), caption: "Pairs that are no labels, by the first filter that dropped them.")
  }

  func addWeights(to page: inout ReportDocument, level: Int) {
    let known = rounds.compactMap { summary in summary.weights.map { (round: summary.round, json: $0) } }
    guard !known.isEmpty else { return }
    page.heading("Weights of the source data", level: level)
    var table = Table([
      .number("round"), .number("effective share"), .number("exponent"), .number("AUC"), .init("gates"),
    ])
    for (round, json) in known {
      let text = { (value: JSONValue?) -> Table.Cell in .text(value?.doubleValue.map { NumberText.brief($0) } ?? "–") }
      let verdict = json["verdict"]?.stringValue.flatMap(Verdict.init)
      table.row([
        "\(round)", text(json["ess_share"]), text(json["tau"]), text(json["classifier"]?["auc"]),
        verdict.map(Table.Cell.verdict) ?? "–",
      ])
    }
    page.table(
      table, caption: "Each round's page is rounds/NNN/weights/report.html. The exponent flattens the density ratio.")
  }
}
