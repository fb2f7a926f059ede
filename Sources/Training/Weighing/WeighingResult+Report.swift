import Adaptation
import JSON
import Logging
import Reports

// What people and programs are told of weights.

extension WeighingResult {
  /// The report for programs.
  var json: JSONObject {
    let count = { (value: Int) in JSONValue.integer(Int64(value)) }
    let samples = collection.samples.map { samples in
      JSONObject([
        ("count", count(samples.count)), ("prompts", count(samples.groups.count)),
        ("unfinished", count(samples.unfinished)),
      ])
    }
    return JSONObject([
      ("fingerprint", .object(fingerprint.json)), ("responses", count(rows.promptOfResponse.count)),
      ("prompts", count(rows.prompts.count)), ("cut_responses", count(collection.cutResponses)),
      ("samples", samples.map(JSONValue.object) ?? .null), ("weights", .object(fit.report.json)),
    ])
  }

  /// The report for people.
  var page: ReportDocument {
    var page = ReportDocument(
      title: "Weights", subtitle: "\(fingerprint.estimator) on \(rows.files.joined(separator: ", "))")
    addVerdict(to: &page)
    addSpread(to: &page)
    addDomains(to: &page)
    page.heading("Made of")
    page.details("settings", fingerprint.settings.map { "\($0.key): \($0.value)" }.joined(separator: "\n"))
    page.details("digests", digests.map { "\($0.name): \($0.value)" }.joined(separator: "\n"))
    return page
  }

  private var report: WeightReport { fit.report }

  private var digests: [(name: String, value: String)] {
    [("data", fingerprint.data), ("policy", fingerprint.model)]
      + fingerprint.sourceModels.map { ("source model", $0) }
      + [
        ("reward model", fingerprint.rewardModel), ("samples", fingerprint.samples),
        ("stored weights", fingerprint.stored),
      ].compactMap { name, digest in digest.map { (name, $0) } }
  }

  private func addVerdict(to page: inout ReportDocument) {
    page.verdict(Verdict(report.verdict) ?? .passed, report.sentence)
    page.facts([
      ("rows", report.examples.grouped), ("prompts", rows.prompts.count.grouped),
      ("responses", rows.promptOfResponse.count.grouped), ("cut responses", collection.cutResponses.grouped),
      ("samples", (collection.samples?.count ?? 0).grouped),
      ("unfinished samples", (collection.samples?.unfinished ?? 0).grouped),
      ("effective share", report.effectiveShare.brief), ("exponent τ", report.exponent.brief),
      ("largest share", report.maxShare.brief), ("dropped rows", report.dropped.grouped),
    ])
    var table = Table([.init("gate"), .number("value"), .init("warns"), .init("refuses"), .init("verdict")])
    for gate in report.gates {
      table.row([
        .text(gate.name.rawValue), .text(gate.value?.brief ?? "–"), .text(gate.warn.text), .text(gate.refuse.text),
        Verdict(gate.verdict).map(Table.Cell.verdict) ?? "nothing to judge by",
      ])
    }
    page.table(table, caption: "What was asked of the flattened weights.")
  }

  private func addSpread(to page: inout ReportDocument) {
    page.heading("Spread")
    page.chart(
      HistogramChart(x: "log w", series: [report.raw.series("raw"), report.flattened.series("flattened")]),
      caption: "Logarithms of the weights where their mean is 1, before and after flattening.", width: .half)
    let curve = LineChart(
      x: Axis("τ", covering: 0...1), y: Axis("effective share", covering: 0...1),
      series: [.init("w^τ", x: report.effectiveCurve.map(\.exponent), y: report.effectiveCurve.map(\.share))],
      rules: report.exponent > 0 ? [.vertical(at: report.exponent, "τ in use")] : [])
    page.chart(curve, caption: "Effective sample size as a share of the rows, against the exponent.", width: .half)
    guard let tail = report.tail else { return }
    page.chart(
      ScatterChart(
        x: Axis("log w fitted"), y: Axis("log w observed"),
        series: [.init("tail", x: tail.fitted, y: tail.fitted.isEmpty ? [] : tail.observed)], diagonal: "fit"),
      caption:
        "The largest raw weights against a generalised Pareto distribution of shape k̂ = \(tail.shape.brief); at this "
        + "number of rows a mean is reliable up to \(tail.reliableShape.brief).")
  }

  private func addDomains(to page: inout ReportDocument) {
    guard report.classifier != nil || !report.balance.isEmpty else { return }
    page.heading("Domains")
    if let classifier = report.classifier {
      let bins = classifier.reliability.map {
        ReliabilityChart.Bin(forecast: $0.forecast, share: $0.share, count: Double($0.count))
      }
      page.chart(
        ReliabilityChart(
          x: "forecast that a response is the policy's", y: "share that is", series: [.init("held out", bins)]),
        caption:
          "The classifier on prompts it was not fitted on: AUC \(classifier.auc.brief), calibration error "
          + "\(classifier.ece.brief), Brier score \(classifier.brier.brief).", width: .half)
    }
    guard !report.balance.isEmpty else { return }
    page.chart(
      LovePlot(rows: report.balance.map { .init($0.feature, before: $0.before, after: $0.after) }),
      caption: "How far policy and data differ in each feature, before and after weighting.",
      width: report.classifier == nil ? .full : .half)
  }
}

extension Verdict {
  fileprivate init?(_ verdict: GateVerdict) {
    switch verdict {
    case .skipped: return nil
    case .passed: self = .passed
    case .warned: self = .warned
    case .refused: self = .refused
    }
  }
}

extension WeightSpread {
  fileprivate func series(_ name: String) -> HistogramChart.Series {
    let width = (histogram.high - histogram.low) / Double(Histogram.bins)
    // Equal weights are all in the first bin, which then needs a width to be seen.
    let step = width > 0 ? width : 0.1
    let edges = (0...Histogram.bins).map { histogram.low + step * Double($0) }
    return .init(name, edges: edges, counts: histogram.counts.map(Double.init))
  }
}

extension GateBounds {
  /// What is beyond the bounds, in words.
  fileprivate var text: String {
    let parts = [below.map { "below \($0.brief)" }, above.map { "above \($0.brief)" }].compactMap(\.self)
    return parts.isEmpty ? "never" : parts.joined(separator: " or ")
  }
}

extension WeightGate {
  /// What is wrong, in words.
  fileprivate var complaint: String { "\(name.rawValue) is \(value?.brief ?? "not known")" }
}

extension WeightReport {
  /// The verdict in a sentence.
  fileprivate var sentence: String {
    if let fallback {
      let instead = fallback.factor > 0 ? "log w is multiplied by \(fallback.factor.brief)" : "all weights are 1"
      return "\(fallback.reason); \(instead)"
    }
    let warned = gates.filter { $0.verdict == .warned }.map(\.complaint)
    return warned.isEmpty ? "every gate that could judge is satisfied" : warned.joined(separator: "; ")
  }

  /// Tells what the weights came to, and warns of what gates said.
  func announce() {
    log.info(
      "weights of \(examples.grouped) rows: effective share \(effectiveShare.brief), τ \(exponent.brief), largest share \(maxShare.brief)"
    )
    for gate in gates where gate.verdict == .warned {
      log.warning("\(gate.complaint), and weights should not have it \(gate.warn.text)")
    }
    guard let fallback else { return }
    log.warning("the weights are refused (\(fallback.kind.rawValue)): \(sentence)")
  }
}
