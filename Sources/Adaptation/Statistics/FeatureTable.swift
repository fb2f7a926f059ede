import AlignmentCore
import Kernels

/// Where a response comes from.
enum Domain: CaseIterable, Sendable {
  case source, target
}

/// A value for each domain.
struct PerDomain<Value: Sendable>: Sendable {
  var source: Value
  var target: Value

  init(_ value: (Domain) -> Value) { (source, target) = (value(.source), value(.target)) }

  subscript(domain: Domain) -> Value {
    get { domain == .source ? source : target }
    _modify {
      switch domain {
      case .source: yield &source
      case .target: yield &target
      }
    }
  }
}

extension DensityEvidence {
  subscript(domain: Domain) -> DomainResponses { domain == .source ? source : target }
}

/// The features of both domains, standardised to mean 0 and variance 1 over all responses together, as is done before a
/// classifier of domains is fitted.
///
/// Features that are equal in all responses tell nothing and are left out. Rows are standardised in Float64 when they are
/// read, a block at a time; there is no copy of the features.
struct FeatureTable: Sendable {
  /// Rows that are held in Float64 at once: with 64 features and 100 kernels what works on them stays in a 1 MiB cache.
  static let blockRows = 512

  private let features: PerDomain<[Float]>
  private let names: [String]
  private let scaling: FeatureRows.Scaling
  /// Responses of each domain.
  let counts: PerDomain<Int>

  /// Features that are not constant.
  var width: Int { scaling.columns.count }
  /// Features that are left out.
  var constantFeatures: Int { names.count - width }

  /// - Throws: ``Fault`` of kind `data` where a domain is empty, or features are missing or not finite.
  init(_ evidence: DensityEvidence) throws {
    for domain in Domain.allCases { try Self.check(evidence[domain], of: domain, evidence.featureNames.count) }
    let features = PerDomain { evidence[$0].features }
    (self.features, names) = (features, evidence.featureNames)
    counts = PerDomain { evidence[$0].count }
    let count = Double(counts.source + counts.target)
    let means = Self.sums(features, shifts: names.map { _ in 0 }).map { $0 / count }
    let variances = Self.sums(features, shifts: means, squared: true).map { $0 / count }
    if let column = variances.firstIndex(where: { !$0.isFinite }) {
      throw Self.nonFinite(column, of: names, features)
    }
    // Rounding of the mean gives a constant column a variance, too.
    let columns = names.indices.filter { variances[$0] > max(0, 1e-24 * means[$0] * means[$0]) }
    scaling = FeatureRows.Scaling(
      columns: columns, means: columns.map { means[$0] }, scales: columns.map { 1 / variances[$0].squareRoot() })
  }

  private static func check(_ responses: DomainResponses, of domain: Domain, _ width: Int) throws {
    guard responses.count > 0 else {
      throw Fault(
        .data, "there are no \(domain) responses to estimate density ratios from", at: "weights",
        hint: domain == .target ? "let the policy write some" : "")
    }
    guard width > 0, responses.features.count == responses.count * width else {
      throw Fault(
        .data, "\(responses.count) \(domain) responses have \(responses.features.count) features, not \(width) each",
        at: "weights", hint: "compute the same features for both domains")
    }
  }

  private static func sums(_ features: PerDomain<[Float]>, shifts: [Double], squared: Bool = false) -> [Double] {
    var sums = [Double](repeating: 0, count: shifts.count)
    for domain in Domain.allCases {
      FeatureRows.addSums(features[domain], shifts: shifts, squared: squared, into: &sums)
    }
    return sums
  }

  private static func nonFinite(_ column: Int, of names: [String], _ features: PerDomain<[Float]>) -> Fault {
    for domain in Domain.allCases {
      let values = features[domain]
      for row in 0..<values.count / names.count where !values[row * names.count + column].isFinite {
        let value = values[row * names.count + column]
        return Fault(.data, "feature \(names[column]) of \(domain) response \(row) is \(value)", at: "weights")
      }
    }
    preconditionFailure("the sum of finite Float32 squares is finite in Float64")
  }

  /// All rows of a domain.
  func rows(of domain: Domain) -> [Int32] { [Int32](0..<Int32(counts[domain])) }

  /// Calls a body with standardised rows, block by block in the order of `rows`.
  ///
  /// - Parameters:
  ///   - columns: columns of a block; those after the features are the body's own.
  ///   - body: gets the block and the positions in `rows` that it holds.
  func forEachBlock(
    _ rows: [Int32], of domain: Domain, columns: Int? = nil, _ body: (inout DoubleMatrix, Range<Int>) -> Void
  ) {
    var block = DoubleMatrix(rows: min(Self.blockRows, rows.count), columns: columns ?? width)
    for start in stride(from: 0, to: rows.count, by: Self.blockRows) {
      let range = start..<min(start + Self.blockRows, rows.count)
      FeatureRows.gather(features[domain], width: names.count, rows: rows[range], scaling, into: &block)
      body(&block, range)
    }
  }

  /// The mean of each standardised feature over a domain.
  func mean(of domain: Domain) -> [Double] {
    var sums = [Double](repeating: 0, count: width)
    let ones = [Double](repeating: 1, count: Self.blockRows)
    forEachBlock(rows(of: domain), of: domain) { block, _ in
      DoubleProduct.add(transposed: block, ones, into: &sums)
    }
    return sums.map { $0 / Double(counts[domain]) }
  }

  /// Some rows, standardised.
  func matrix(_ rows: [Int32], of domain: Domain) -> DoubleMatrix {
    var result = DoubleMatrix(rows: rows.count, columns: width)
    FeatureRows.gather(features[domain], width: names.count, rows: rows[...], scaling, into: &result)
    return result
  }
}
