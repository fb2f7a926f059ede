import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// log π_t(y|x) − log π_s(y|x) where both are known; of several generators π_s is the mixture Σ a_k·π_k (the balance
/// heuristic of Veach and Guibas 1995), whoever wrote the response.
///
/// The variance of a sum over tokens grows with their number T. Divided by T (the ratio of GSPO, Zheng et al. 2025,
/// arXiv 2507.18071), weights of long responses are all but uniform; divided by √T, their spread is the same at every
/// length.
package struct ImportanceEstimator: DensityEstimator {
  /// What becomes of the log-ratio of a response of T tokens.
  package enum Form: String, CaseIterable, Sendable {
    /// Divided by T.
    case length
    /// As it is: unbiased.
    case sequence
    /// Times c/√T.
    case squareRoot = "sqrt_length"
  }

  package static let name = "importance"
  package static let summary = "ratio of the policy to the known generators' mixture"
  package static let options = [
    OptionDescription("form", default: Form.sequence, "how the log-ratio depends on the number of tokens"),
    OptionDescription("scale", default: 1, in: 1e-3...1e3, "what form sqrt_length multiplies by besides"),
  ]
  package let needs: DensityNeeds = [.targetLogProbabilities, .sourceLogProbabilities]

  private let form: Form
  private let scale: Double

  package init(options: OptionValues) {
    form = options.choice("form")
    scale = options["scale"]
  }

  package func estimate(_ evidence: DensityEvidence) throws -> DensityEstimate {
    let ratios = try evidence.logRatios(for: Self.name)
    if form != .sequence {
      try evidence.require(
        evidence.source.lengths.count, "the lengths", for: Self.name, hint: "or let form be sequence")
    }
    var estimate = DensityEstimate(
      logRatios: ratios.indices.map { ratios[$0] * factor(length: form == .sequence ? 1 : evidence.source.lengths[$0]) }
    )
    estimate.isNormalized = form == .sequence
    return estimate
  }

  /// An empty response counts as one token.
  private func factor(length: Int) -> Double {
    switch form {
    case .sequence: 1
    case .length: 1 / Double(max(length, 1))
    case .squareRoot: scale / Double(max(length, 1)).squareRoot()
    }
  }
}

extension DensityEvidence {
  /// log π_t − log Σ a_k·π_k of the source responses.
  ///
  /// - Throws: ``Fault`` if log-probabilities are missing, or the generators cannot have written a response.
  func logRatios(for estimator: String) throws -> [Double] {
    let hint = "give the generator (a model, or source_logp in the data)"
    try require(
      source.targetLogProbabilities.count, "log-probabilities under the policy", for: estimator,
      hint: "score the responses")
    try require(
      source.sourceLogProbabilities.first?.count ?? 0, "log-probabilities under a generator", for: estimator, hint: hint
    )
    for column in source.sourceLogProbabilities.dropFirst() {
      try require(column.count, "log-probabilities under every generator", for: estimator, hint: hint)
    }
    for column in [source.targetLogProbabilities] + source.sourceLogProbabilities {
      try source.check(column, "log-probability", hint: "look at the model that gave it") { $0 < .infinity }
    }
    let mixture = try logMixture()
    if let never = mixture.firstIndex(of: -.infinity) {
      throw Fault(
        .data, "it has probability 0 under the generators that are said to have written it", at: source.place(never),
        hint: "use the sampling settings it was written with")
    }
    return zip(source.targetLogProbabilities, mixture).map { $0 - $1 }
  }

  /// log Σ a_k·π_k of the source responses.
  private func logMixture() throws -> [Double] {
    let columns = source.sourceLogProbabilities
    guard columns.count > 1 else { return columns[0] }
    guard generatorShares.count == columns.count else {
      throw Fault(
        .data, "there are \(generatorShares.count) shares of \(columns.count) generators", at: "weights",
        hint: "give each generator's share of the source data")
    }
    let logShares = generatorShares.map { log($0) }
    return (0..<source.count).map { i in zip(logShares, columns).map { $0 + $1[i] }.logSumExp() }
  }
}
