import AlignmentCore
import Kernels

/// Gaussian kernels exp(−‖φ − c‖²/(2σ²)) around random target responses c, on standardised features.
struct GaussianBasis: Sendable {
  let table: FeatureTable
  private let centers: DoubleMatrix
  private let norms: [Double]

  /// - Parameter count: centers; where the target responses are no more, they all are.
  init(_ table: FeatureTable, count: Int, seed: UInt64) {
    self.table = table
    let stream = RandomStream(seed: seed, purpose: .weighing, RandomUse.centers.rawValue)
    centers = table.matrix(stream.sample(count, of: table.counts.target), of: .target)
    norms = GaussianKernel.squaredNorms(centers)
  }

  var count: Int { centers.rows }

  /// Calls a body with the squared distances (rows, centers) of some rows, block by block.
  func forEachBlock(_ rows: [Int32], of domain: Domain, _ body: (DoubleMatrix, Range<Int>) -> Void) {
    var distances = DoubleMatrix(rows: min(FeatureTable.blockRows, rows.count), columns: count)
    table.forEachBlock(rows, of: domain) { block, range in
      distances.rows = range.count
      GaussianKernel.squaredDistances(block, centers, norms: norms, into: &distances)
      body(distances, range)
    }
  }

  /// The squared distances (rows, centers) of some rows.
  func distances(_ rows: [Int32], of domain: Domain) -> DoubleMatrix {
    var result = DoubleMatrix(rows: rows.count, columns: count)
    forEachBlock(rows, of: domain) { distances, range in
      result.elements.replaceSubrange(
        range.lowerBound * count..<range.upperBound * count, with: distances.elements[..<(range.count * count)])
    }
    return result
  }

  /// The mean of each kernel over a domain, for each width.
  func kernelMeans(of domain: Domain, _ widths: [Double]) -> [[Double]] {
    var sums = widths.map { _ in [Double](repeating: 0, count: count) }
    let ones = [Double](repeating: 1, count: FeatureTable.blockRows)
    var kernels = DoubleMatrix(rows: FeatureTable.blockRows, columns: count)
    forEachBlock(table.rows(of: domain), of: domain) { distances, range in
      kernels.rows = range.count
      for (w, width) in widths.enumerated() {
        GaussianKernel.evaluate(distances, rate: Self.rate(width), into: &kernels)
        DoubleProduct.add(transposed: kernels, ones, into: &sums[w])
      }
    }
    return sums.map { $0.map { $0 / Double(table.counts[domain]) } }
  }

  /// log Σ_l θ_l·k(φ, c_l) of every source response.
  ///
  /// - Parameter logCoefficients: log θ; −∞ leaves a kernel out, one at least is finite.
  func logRatios(logCoefficients: [Double], bandwidth: Double) -> [Double] {
    var result: [Double] = []
    result.reserveCapacity(table.counts.source)
    forEachBlock(table.rows(of: .source), of: .source) { distances, _ in
      GaussianKernel.appendLogSums(of: distances, rate: Self.rate(bandwidth), offsets: logCoefficients, to: &result)
    }
    return result
  }

  /// 1/(2σ²)
  static func rate(_ bandwidth: Double) -> Double { 0.5 / (bandwidth * bandwidth) }
}

extension FeatureTable {
  /// Responses of each domain that the median distance is taken over.
  private static let medianSample = 500

  /// The median distance between responses of a random sample with equally many of each domain where they suffice, the usual
  /// scale of a Gaussian kernel (Gretton et al. 2012, "A kernel two-sample test", §8); 1 where all distances are 0.
  func medianDistance(seed: UInt64) -> Double {
    let stream = RandomStream(seed: seed, purpose: .weighing, RandomUse.medianDistance.rawValue)
    let (source, target) = (
      matrix(stream.sample(Self.medianSample, of: counts.source), of: .source),
      matrix(stream.sample(Self.medianSample, of: counts.target), of: .target)
    )
    var all = DoubleMatrix(rows: source.rows + target.rows, columns: width)
    all.elements = source.elements + target.elements
    var distances = DoubleMatrix(rows: all.rows, columns: all.rows)
    GaussianKernel.squaredDistances(all, all, norms: GaussianKernel.squaredNorms(all), into: &distances)
    let pairs = (0..<all.rows).flatMap { row in distances.elements[row * all.rows..<row * all.rows + row] }.sorted()
    guard let largest = pairs.last, largest > 0 else { return 1 }
    let median = pairs[pairs.count / 2]
    return (median > 0 ? median : largest).squareRoot()
  }
}

extension RandomStream {
  /// So many different numbers below a bound, increasing; all of them where they are no more (Floyd; Bentley and Floyd 1987,
  /// "A sample of brilliance").
  func sample(_ count: Int, of bound: Int) -> [Int32] {
    guard count < bound else { return [Int32](0..<Int32(bound)) }
    var chosen = Set<Int>()
    for last in bound - count..<bound {
      let candidate = integer(below: last + 1, at: last)
      chosen.insert(chosen.contains(candidate) ? last : candidate)
    }
    return chosen.sorted().map { Int32($0) }
  }
}

extension OptionDescription {
  static let centers = OptionDescription("centers", default: 100, in: 1...1000, "target responses that kernels sit on")
  static let sigma = OptionDescription(
    "sigma", default: 0, in: 0...1e6,
    "width of the kernels on standardised features; 0 chooses ½, 1 or 2 times the median distance")
}
