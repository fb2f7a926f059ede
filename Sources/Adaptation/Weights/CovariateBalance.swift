import AlignmentCore

/// How far apart the features of two domains are, as they are and under weights.
struct CovariateBalance: Sendable {
  private let names: [String]
  private let features: [Float]
  /// How many examples each source response is in, or rather how much of them.
  private let uses: [Double]
  private let source: [FeatureMoments]
  private let target: [FeatureMoments]

  /// - Parameters:
  ///   - uses: what each source response counts for without weights.
  /// - Returns: nil where there are no features, or no samples of the target.
  /// - Throws: ``Fault`` that names the response of a feature that is not finite.
  init?(_ evidence: DensityEvidence, uses: [Double]) throws {
    names = evidence.featureNames
    features = evidence.source.features
    self.uses = uses
    guard !names.isEmpty, !features.isEmpty, !evidence.target.features.isEmpty else { return nil }
    let (rows, samples) = (evidence.source.count, evidence.target.count)
    precondition(
      features.count == rows * names.count && evidence.target.features.count == samples * names.count,
      "features are not responses × names")
    try Self.check(evidence.source, names, "source response")
    try Self.check(evidence.target, names, "sample")
    source = FeatureMoments.columns(of: features, names.count, weights: uses)
    target = FeatureMoments.columns(
      of: evidence.target.features, names.count, weights: [Double](repeating: 1, count: samples))
  }

  private static func check(_ responses: DomainResponses, _ names: [String], _ kind: String) throws {
    guard let place = responses.features.firstIndex(where: { !$0.isFinite }) else { return }
    throw Fault(
      .nonFinite, "feature \(names[place % names.count]) is \(responses.features[place])",
      at: responses.place(place / names.count, kind), hint: "look at the model that gave it")
  }

  /// The differences of all features, where each source response counts for a weight.
  func differences(weights: [Double]) -> [FeatureBalance] {
    let weighted = FeatureMoments.means(of: features, names.count, weights: weights)
    return names.indices.map { i in
      let deviation = ((source[i].variance + target[i].variance) / 2).squareRoot()
      return FeatureBalance(
        feature: names[i], before: Self.standardised(target[i].mean - source[i].mean, deviation),
        after: Self.standardised(target[i].mean - weighted[i], deviation))
    }
  }

  private static func standardised(_ difference: Double, _ deviation: Double) -> Double {
    difference == 0 ? 0 : difference / deviation
  }
}

/// Mean and variance of a feature over weighted rows.
struct FeatureMoments: Sendable {
  var mean: Double
  var variance: Double

  /// The moments of each column of a row-major matrix.
  static func columns(of matrix: [Float], _ columns: Int, weights: [Double]) -> [FeatureMoments] {
    let means = means(of: matrix, columns, weights: weights)
    let variances = weightedMean(of: matrix, columns, weights) { value, column in
      let deviation = value - means[column]
      return deviation * deviation
    }
    return zip(means, variances).map { FeatureMoments(mean: $0, variance: $1) }
  }

  static func means(of matrix: [Float], _ columns: Int, weights: [Double]) -> [Double] {
    weightedMean(of: matrix, columns, weights) { value, _ in value }
  }

  private static func weightedMean(
    of matrix: [Float], _ columns: Int, _ weights: [Double], _ transform: (Double, Int) -> Double
  ) -> [Double] {
    var sums = [Double](repeating: 0, count: columns)
    for (row, weight) in weights.enumerated() where weight > 0 {
      for column in 0..<columns { sums[column] += weight * transform(Double(matrix[row * columns + column]), column) }
    }
    let total = weights.compensatedSum()
    return sums.map { $0 / total }
  }
}
