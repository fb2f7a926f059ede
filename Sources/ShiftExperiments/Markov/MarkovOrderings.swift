/// A claim that one method has a lower NLL than another.
package struct MarkovOrdering: Sendable {
  package let claim: String
  package let better: String
  package let worse: String
  /// Whether the experiment fails if it does not hold.
  package let isRequired: Bool

  init(_ claim: String, _ better: String, over worse: String, isRequired: Bool = true) {
    self.claim = claim
    self.better = better
    self.worse = worse
    self.isRequired = isRequired
  }

  package static let all = [
    MarkovOrdering("raw importance weights lose to uniform ones", "uniform", over: "raw"),
    MarkovOrdering("PSIS does not rescue them", "uniform", over: "PSIS"),
    MarkovOrdering("ESS 0.5 beats uniform", "ESS 0.5", over: "uniform"),
    MarkovOrdering("a bigram teacher gains by ESS 0.5", "bigram teacher of ESS 0.5", over: "bigram teacher"),
    MarkovOrdering("ESS 0.5 + judge beats uniform + judge", "ESS 0.5 + judge 20 %", over: "uniform + judge 20 %"),
    MarkovOrdering(
      "temper 0.5 + judge beats uniform + judge", "temper 0.5 + judge 20 %", over: "uniform + judge 20 %",
      isRequired: false),
    MarkovOrdering(
      "so it does where it counts as its ESS", "temper 0.5 at its ESS + judge 20 %", over: "uniform + judge 20 %",
      isRequired: false),
    MarkovOrdering(
      "ESS 0.5 + judge beats the judge alone", "ESS 0.5 + judge 20 %", over: "judge 20 %", isRequired: false),
    MarkovOrdering(
      "the marginal ratio beats the sequences'", "discriminator, ESS 0.5", over: "ESS 0.5", isRequired: false),
    MarkovOrdering(
      "a complete teacher gains by ESS 0.5", "complete teacher of ESS 0.5", over: "complete teacher", isRequired: false),
  ]
}

/// Whether a claim holds.
package struct MarkovCheck: Sendable {
  package enum Verdict: String, Sendable {
    /// The 95 % interval is on the right side.
    case holds
    /// The estimate is, the interval is not.
    case holdsOnAverage = "holds on average"
    case fails

    /// Of a claim that something is positive.
    package init(_ interval: Interval) {
      self = interval.lower > 0 ? .holds : interval.estimate > 0 ? .holdsOnAverage : .fails
    }
  }

  package let claim: String
  /// The name of a regime, or "all".
  package let regime: String
  package let isRequired: Bool
  /// A difference of NLLs, or what the claim speaks of.
  package let evidence: Interval
  package let verdict: Verdict

  /// Whether the experiment may end well.
  package var isAcceptable: Bool { !isRequired || verdict != .fails }

  /// A claim of an ordering in a regime.
  package init(_ ordering: MarkovOrdering, _ summary: RegimeSummary) {
    claim = ordering.claim
    regime = summary.regime.name
    isRequired = ordering.isRequired
    evidence = UnitSample(summary[ordering.better].gains, minus: summary[ordering.worse].gains).interval()
    verdict = Verdict(evidence)
  }

  /// The claim that k̂ foretells where raw weights are catastrophic: they lose more than the whole gap in trials above a bound,
  /// and do not in those below. The evidence is the share of the gap recovered in the trials of one side, of all regimes.
  ///
  /// - Returns: nil if there are no such trials.
  private init?(ofTrials side: ParetoSide, _ summaries: [RegimeSummary], _ bootstrap: Bootstrap) {
    var (gains, gaps) = ([Double](repeating: 0, count: bootstrap.units), [Double](repeating: 0, count: bootstrap.units))
    for summary in summaries {
      for (seed, diagnostics) in summary.diagnostics.enumerated() where side.contains(diagnostics.paretoShape) {
        gains[seed] += summary["raw"].gains[seed]
        gaps[seed] += summary["oracle"].gains[seed]
      }
    }
    guard gaps.contains(where: { $0 != 0 }) else { return nil }
    claim = side.claim
    regime = "all"
    isRequired = side == .heavy
    evidence = bootstrap.ratioOfMeans(gains, gaps)
    verdict = Verdict(side.margin(evidence))
  }

  /// All claims about methods that were run, in all regimes.
  package static func all(_ summaries: [RegimeSummary], _ bootstrap: Bootstrap) -> [MarkovCheck] {
    let run = Set(summaries.flatMap { $0.methods.map(\.name) })
    let orderings = MarkovOrdering.all.filter { run.isSuperset(of: [$0.better, $0.worse]) }
    return orderings.flatMap { ordering in summaries.map { MarkovCheck(ordering, $0) } }
      + ParetoSide.allCases.compactMap { MarkovCheck(ofTrials: $0, summaries, bootstrap) }
  }
}

/// Trials by the shape of the tail of their raw weights.
private enum ParetoSide: CaseIterable {
  case heavy, light

  /// Above it, the mean of the weights cannot be relied on (Vehtari et al. 2024, arXiv 1507.02646, §3.2.4).
  private static let bound = 0.7

  func contains(_ shape: Double) -> Bool { (shape > Self.bound) == (self == .heavy) }

  var claim: String {
    switch self {
    case .heavy: "where k̂ > 0.7, raw weights lose more than the whole gap"
    case .light: "where k̂ ≤ 0.7, they do not"
    }
  }

  /// What is positive if the claim holds, of a share recovered.
  func margin(_ recovered: Interval) -> Interval {
    switch self {
    case .heavy: Interval(-1 - recovered.estimate, -1 - recovered.upper, -1 - recovered.lower)
    case .light: Interval(1 + recovered.estimate, 1 + recovered.lower, 1 + recovered.upper)
    }
  }
}
