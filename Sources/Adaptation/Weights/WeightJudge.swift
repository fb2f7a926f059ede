import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// Puts flattened weights before the gates and finds what replaces those that are refused.
struct WeightJudge {
  private let settings: WeightSettings
  private let examples: [[Int]]
  private let composed: ComposedWeights
  private let auc: Double?
  private let balance: CovariateBalance?
  /// Correlation of log w with the total length of an example's responses.
  let lengthCorrelation: Double?
  /// Mean of the responses' ratios, where they have no unknown constant.
  let meanRatio: Double?

  /// - Throws: ``Fault`` that names the response of a feature that is not finite.
  init(
    _ settings: WeightSettings, _ estimate: DensityEstimate, _ evidence: DensityEvidence, _ examples: [[Int]],
    _ composed: ComposedWeights
  ) throws {
    self.settings = settings
    self.examples = examples
    self.composed = composed
    auc = estimate.classifier?.auc
    meanRatio = estimate.isNormalized ? exp(estimate.logRatios.logMeanExp()) : nil
    lengthCorrelation = Self.lengthCorrelation(composed.logs, evidence.source.lengths, examples)
    var uses = [Double](repeating: 0, count: evidence.source.count)
    for example in examples {
      let compared = settings.composition == .first ? example.prefix(1) : example[...]
      for response in compared { uses[response] += 1 }
    }
    balance = try CovariateBalance(evidence, uses: uses)
  }

  /// Log-weights within this many nats of each other are equal for all that log-probabilities are good for.
  private static let leastSpread = 1e-6

  private static func lengthCorrelation(_ raw: LogWeights, _ lengths: [Int], _ examples: [[Int]]) -> Double? {
    let kept = examples.indices.filter { raw.values[$0] > -.infinity }
    guard !lengths.isEmpty, raw.largest - (raw.kept.min() ?? raw.largest) > leastSpread else { return nil }
    return correlation(
      kept.map { raw.values[$0] }, kept.map { Double(examples[$0].reduce(0) { $0 + lengths[$1] }) })
  }

  /// The differences of features under weights.
  func differences(_ flattened: FlattenedWeights) -> [FeatureBalance] {
    guard let balance else { return [] }
    let ratios = composed.ratios.values
    var weights = [Double](repeating: 0, count: ratios.count)
    for (weight, example) in zip(flattened.logs.weights, examples) {
      let shares = settings.composition.shares(example.map { ratios[$0] })
      for (response, share) in zip(example, shares) { weights[response] += weight * share }
    }
    return balance.differences(weights: weights)
  }

  func gates(of flattened: FlattenedWeights, _ differences: [FeatureBalance]) -> [WeightGate] {
    settings.gates.judge(
      GateEvidence(
        examples: examples.count, effectiveShare: flattened.logs.effectiveShare(), maxShare: flattened.logs.maxShare,
        paretoShape: composed.tail.shape, exponent: flattened.isBounded ? 0 : flattened.exponent, auc: auc,
        balance: differences, lengthCorrelation: lengthCorrelation, meanRatio: meanRatio))
  }

  /// The weights to use: the flattened ones if no gate refuses them, otherwise what the fallback makes of them; nil
  /// stands for uniform weights.
  ///
  /// - Throws: ``Fault`` if a gate refuses and the fallback is `error`.
  func choice(_ flattened: FlattenedWeights, _ gates: [WeightGate]) throws -> (
    weights: FlattenedWeights?, fallback: FallbackTaken?
  ) {
    let refusals = gates.filter { $0.verdict == .refused }
    guard !refusals.isEmpty else { return (flattened, nil) }
    let reason = refusals.map(\.sentence).joined(separator: "; ")
    switch settings.fallback {
    case .error:
      throw Fault(
        .data, "the weights are refused: \(reason)", at: "weights",
        hint: "flatten them more, use another estimator, or let weights.fallback be uniform or shrink")
    case .uniform: return (nil, FallbackTaken(kind: .uniform, factor: 0, reason: reason))
    case .shrink:
      let shrunk = refusals.allSatisfy(\.name.dependsOnWeights) ? shrink(flattened) : nil
      return (shrunk?.weights, FallbackTaken(kind: .shrink, factor: shrunk?.factor ?? 0, reason: reason))
    }
  }

  /// Halves the exponent until no gate refuses; nil if none ever ceases to.
  private func shrink(_ flattened: FlattenedWeights) -> (weights: FlattenedWeights, factor: Double)? {
    for halvings in 1...30 {
      let factor = 1 / Double(1 << halvings)
      let weights = flattened.shrunk(by: factor)
      if !gates(of: weights, differences(weights)).contains(where: { $0.verdict == .refused }) {
        return (weights, factor)
      }
    }
    return nil
  }
}

extension WeightGate.Name {
  /// Whether smaller exponents change its value.
  var dependsOnWeights: Bool {
    switch self {
    case .effectiveShare, .maxShare, .paretoShape, .balance: true
    case .auc, .lengthCorrelation, .meanRatio: false
    }
  }
}

extension WeightGate {
  /// What a refusal says.
  var sentence: String {
    let bounds = [refuse.below.map { "below \($0)" }, refuse.above.map { "above \($0)" }].compactMap(\.self)
    return "\(name.rawValue) is \(value.map { "\($0)" } ?? "not known"), refused \(bounds.joined(separator: " or "))"
  }
}
