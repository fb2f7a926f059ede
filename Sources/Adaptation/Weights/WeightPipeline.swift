import AlignmentCore

/// Makes weights of examples from log-ratios of responses: centring, composition, flattening, gates, normalisation.
///
/// A pure function in Float64 log space whose sums are compensated and run in the order of the data, so whoever has the
/// same numbers has the same weights, bit for bit. Adding a constant to all log-ratios changes no weight.
package struct WeightPipeline: Sendable {
  package let settings: WeightSettings

  package init(_ settings: WeightSettings) { self.settings = settings }

  /// The weights of examples.
  ///
  /// - Parameters:
  ///   - examples: the source responses of each example, by their places in the evidence: one, a pair with the
  ///     preferred first, or a list.
  /// - Throws: ``Fault`` for a log-ratio that is NaN or +∞, a feature that is not finite, or a setting that is out of
  ///   range; where nothing is left, or centring would leave nothing; and for weights that a gate refuses where the
  ///   fallback is `error`.
  package func fit(_ estimate: DensityEstimate, _ evidence: DensityEvidence, examples: [[Int]]) throws -> WeightFit {
    try settings.validate()
    precondition(estimate.logRatios.count == evidence.source.count, "not one log-ratio for each source response")
    let composed = try ComposedWeights(estimate, evidence, examples, settings)
    let (raw, kept) = (composed.logs, composed.logs.kept)
    let flattened = FlattenedWeights(composed, settings)
    let judge = try WeightJudge(settings, estimate, evidence, examples, composed)
    let balance = judge.differences(flattened)
    let gates = judge.gates(of: flattened, balance)
    let choice = try judge.choice(flattened, gates)
    let used = choice.weights ?? .uniform(raw.count)
    let report = WeightReport(
      examples: raw.count, dropped: raw.count - kept.count, effectiveShare: used.logs.effectiveShare(),
      maxShare: used.logs.maxShare, exponent: used.exponent, raw: WeightSpread(raw),
      flattened: WeightSpread(flattened.logs), effectiveCurve: raw.effectiveCurve,
      tail: ParetoTail(composed.tail, of: kept, count: raw.count), classifier: estimate.classifier,
      lengthCorrelation: judge.lengthCorrelation, meanRatio: judge.meanRatio, balance: balance,
      findings: estimate.findings.map { Finding(name: $0.name, value: $0.value) }, gates: gates,
      verdict: gates.map(\.verdict).max() ?? .skipped, fallback: choice.fallback)
    return WeightFit(weights: used.logs.weights, logWeights: raw.values, report: report)
  }
}

/// Log-weights of examples before anything is done against their spread.
struct ComposedWeights: Sendable {
  let ratios: LogRatios
  let logs: LogWeights
  /// Of the examples that are not dropped.
  let tail: ParetoSmoothing

  init(
    _ estimate: DensityEstimate, _ evidence: DensityEvidence, _ examples: [[Int]], _ settings: WeightSettings
  ) throws {
    ratios = try LogRatios(estimate.logRatios, of: evidence.source, centred: settings.centresPrompts)
    logs = try ratios.composed(settings.composition, examples)
    tail = ParetoSmoothing(logs.kept)
  }
}

extension LogWeights {
  /// The effective share at exponents from 0 to 1.
  var effectiveCurve: [EffectivePoint] {
    (0...20).map { EffectivePoint(exponent: Double($0) / 20, share: effectiveShare(exponent: Double($0) / 20)) }
  }
}

/// Log-ratios of the source responses: none is NaN or +∞.
struct LogRatios: Sendable {
  let values: [Double]

  /// - Throws: ``Fault`` that names the response.
  init(_ ratios: [Double], of responses: DomainResponses, centred: Bool) throws {
    try responses.check(
      ratios, "log-ratio", hint: "look at its log-probabilities, rewards and features; -inf is allowed and drops it"
    ) { $0 < .infinity }
    values = centred ? try Self.centred(ratios, responses.prompts) : ratios
  }

  /// Takes off each prompt's log-mean-exp: what a ratio of prompts adds to all of its responses.
  private static func centred(_ ratios: [Double], _ prompts: [Int]) throws -> [Double] {
    guard Set(prompts).count < prompts.count else {
      throw Fault(
        .configuration, "centring leaves nothing: every prompt has one response", at: "weights.center_prompts",
        hint: "centre where prompts have several responses")
    }
    let means = logMeans(of: ratios, by: prompts)
    return zip(ratios, prompts).map { ratio, prompt in ratio > -.infinity ? ratio - means[prompt, default: 0] : ratio }
  }

  /// Log-weights of examples.
  ///
  /// - Throws: ``Fault`` if all are dropped, or one is too large for a Float64.
  func composed(_ composition: WeightSettings.Composition, _ examples: [[Int]]) throws -> LogWeights {
    let logs = examples.map { composition.logWeight($0.map { values[$0] }) }
    if let place = logs.firstIndex(where: { !($0 < .infinity) }) {
      let members = examples[place].map(String.init).joined(separator: ", ")
      throw Fault(
        .nonFinite, "the log-weight is \(logs[place])", at: "example \(place) (source responses \(members))",
        hint: "look at the log-ratios of its responses")
    }
    guard logs.contains(where: { $0 > -.infinity }) else {
      throw Fault(
        .data, "every example has weight 0: the target never says any of the source responses", at: "weights",
        hint: "check that source and target are of one task, or use another estimator")
    }
    return LogWeights(logs)
  }
}
