import Kernels

/// The directions in which standardised features vary most (Hotelling 1933, "Analysis of a complex of statistical variables
/// into principal components").
///
/// Fitted on features of all domains together, so that neither defines what is looked at. Moments are in Float64.
package struct PrincipalComponents: Sendable, Equatable {
  /// Features that go in.
  package let width: Int
  /// (width)
  package let means: [Double]
  /// (count, width) unit vectors of standardised features, largest variance first, divided by each feature's deviation.
  package let directions: [Double]
  /// Share of the variance of standardised features that each component has.
  package let shares: [Double]

  package var count: Int { shares.count }

  /// Rows that are added up at a time.
  private static let block = 512
  /// A component with less of the variance than this is rounding error.
  private static let smallestShare = 1e-10

  /// Finds at most `limit` components of (n, width) features; none where nothing varies.
  ///
  /// - Returns: nil where the features are not finite.
  package init?(of features: [Float], width: Int, atMost limit: Int) {
    precondition(width > 0 && features.count % width == 0, "features of width \(width) in \(features.count) numbers")
    let rows = features.count / width
    let (means, scales) = Self.standardisation(features, width: width, rows: rows)
    guard let correlations = Self.correlations(features, means, scales, rows: rows) else { return nil }
    let total = (0..<width).reduce(0) { $0 + correlations[$1, $1] }
    let wanted = total > 0 ? min(limit, width, max(rows - 1, 1)) : 0
    guard wanted > 0 else {
      self.init(width: width, means: means, directions: [], shares: [])
      return
    }
    guard let found = SymmetricEigenvectors(largest: wanted, of: correlations) else { return nil }
    let shares = found.values.map { $0 / total }.prefix { $0 > Self.smallestShare }
    let directions = found.vectors[..<(shares.count * width)].enumerated().map { $1 * scales[$0 % width] }
    self.init(width: width, means: means, directions: directions, shares: Array(shares))
  }

  private init(width: Int, means: [Double], directions: [Double], shares: [Double]) {
    (self.width, self.means, self.directions, self.shares) = (width, means, directions, shares)
  }

  /// The mean of each feature, and the inverse of its standard deviation; 0 where it does not vary.
  private static func standardisation(
    _ features: [Float], width: Int, rows: Int
  ) -> (means: [Double], scales: [Double]) {
    var (sums, squares) = ([Double](repeating: 0, count: width), [Double](repeating: 0, count: width))
    // Divided at the end: the mean of equal numbers is exactly that number.
    FeatureRows.addSums(features, shifts: sums, into: &sums)
    let means = sums.map { $0 / Double(rows) }
    FeatureRows.addSums(features, shifts: means, squared: true, into: &squares)
    return (means, squares.map { $0 > 0 ? (Double(rows) / $0).squareRoot() : 0 })
  }

  /// Sums of products of standardised features; nil where they are not finite.
  private static func correlations(
    _ features: [Float], _ means: [Double], _ scales: [Double], rows: Int
  ) -> DoubleMatrix? {
    let width = means.count
    let scaling = FeatureRows.Scaling(columns: Array(0..<width), means: means, scales: scales)
    var (sums, block) = (DoubleMatrix(rows: width, columns: width), DoubleMatrix(rows: Self.block, columns: width))
    let all = (0..<rows).map { Int32($0) }
    for first in stride(from: 0, to: rows, by: Self.block) {
      let part = all[first..<min(first + Self.block, rows)]
      FeatureRows.gather(features, width: width, rows: part, scaling, into: &block)
      DoubleProduct.addGram(of: block, into: &sums)
    }
    return means.allSatisfy(\.isFinite) && sums.elements.allSatisfy(\.isFinite) ? sums : nil
  }

  /// What each component has of one response's features.
  package func project(_ features: UnsafeBufferPointer<Float>) -> [Double] {
    precondition(features.count == width, "\(features.count) features, and \(width) are expected")
    return (0..<count).map { component in
      var sum = 0.0
      for index in 0..<width { sum += (Double(features[index]) - means[index]) * directions[component * width + index] }
      return sum
    }
  }
}

extension PrincipalComponents {
  /// All numbers in a row, for other ranks.
  package var numbers: [Double] { [Double(count), Double(width)] + means + directions + shares }

  /// Takes what ``numbers`` gave.
  package init(numbers: [Double]) {
    let (count, width) = (Int(numbers[0]), Int(numbers[1]))
    precondition(numbers.count == 2 + width + count * width + count, "numbers of other components")
    let body = numbers.dropFirst(2)
    self.init(
      width: width, means: Array(body.prefix(width)), directions: Array(body.dropFirst(width).prefix(count * width)),
      shares: Array(body.suffix(count)))
  }
}
