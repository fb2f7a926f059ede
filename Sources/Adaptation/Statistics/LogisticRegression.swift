import Kernels

#if canImport(Glibc)
  import Glibc
#endif

/// What a linear classifier of domains sees of a response: the standardised features, on request the squares and products
/// of the first eight of them, and a constant.
struct ClassifierDesign: Sendable {
  private static let mostSquared = 8

  let table: FeatureTable
  let isQuadratic: Bool

  private var squared: Int { min(Self.mostSquared, table.width) }

  /// Coefficients without the intercept, which is the last column.
  var penalized: Int { table.width + (isQuadratic ? squared * (squared + 1) / 2 : 0) }
  var columns: Int { penalized + 1 }

  /// Calls a body with rows of the design; see ``FeatureTable/forEachBlock(_:of:columns:_:)``.
  func forEachBlock(_ rows: [Int32], of domain: Domain, _ body: (inout DoubleMatrix, Range<Int>) -> Void) {
    table.forEachBlock(rows, of: domain, columns: columns) { block, range in
      if isQuadratic { FeatureRows.fillProducts(ofFirst: squared, in: &block, from: table.width) }
      FeatureRows.fill(column: penalized, of: &block, with: 1)
      body(&block, range)
    }
  }
}

/// P(target | φ) = σ(β·φ + b) by penalised maximum likelihood: Σ −log P(domain | φ) + ½·ridge·‖β‖², with b free. In
/// scikit-learn's words C = 1 / ridge.
struct LogisticRegression: Sendable {
  /// β, then b.
  let coefficients: [Double]
  let steps: Int
  let hasConverged: Bool

  /// Fits some rows of each domain.
  init(_ design: ClassifierDesign, _ rows: PerDomain<[Int32]>, ridge: Double) {
    let fit = NewtonMethod().minimize(from: [Double](repeating: 0, count: design.columns)) { point, curvature in
      for domain in Domain.allCases { Self.addLoss(design, rows[domain], of: domain, at: point, to: &curvature) }
      curvature.addRidge(ridge, at: point, variables: design.penalized)
    }
    (coefficients, steps, hasConverged) = (fit.point, fit.steps, fit.hasConverged)
  }

  private static func addLoss(
    _ design: ClassifierDesign, _ rows: [Int32], of domain: Domain, at point: [Double], to curvature: inout Curvature
  ) {
    var logits = [Double](repeating: 0, count: FeatureTable.blockRows)
    var roots = logits
    design.forEachBlock(rows, of: domain) { block, range in
      DoubleProduct.multiply(block, point, into: &logits)
      for i in 0..<range.count {
        let loss = LogisticLoss(logit: logits[i], label: domain == .target ? 1 : 0)
        curvature.value += loss.value
        (logits[i], roots[i]) = (loss.derivative, loss.curvature.squareRoot())
      }
      DoubleProduct.add(transposed: block, logits, into: &curvature.gradient)
      FeatureRows.scale(&block, by: roots)
      DoubleProduct.addGram(of: block, into: &curvature.hessian)
    }
  }

  /// The logits of rows, in their order.
  func logits(_ design: ClassifierDesign, _ rows: [Int32], of domain: Domain) -> [Double] {
    var result: [Double] = []
    result.reserveCapacity(rows.count)
    var logits = [Double](repeating: 0, count: FeatureTable.blockRows)
    design.forEachBlock(rows, of: domain) { block, range in
      DoubleProduct.multiply(block, coefficients, into: &logits)
      result += logits[..<range.count]
    }
    return result
  }
}

/// −y·log σ(z) − (1−y)·log σ(−z) and its derivatives by z.
struct LogisticLoss {
  let value: Double
  /// σ(z) − y
  let derivative: Double
  /// σ(z)·σ(−z)
  let curvature: Double

  init(logit z: Double, label y: Double) {
    let tail = exp(-abs(z))
    let probability = (z >= 0 ? 1 : tail) / (1 + tail)
    value = log1p(tail) + max(z, 0) - y * z
    derivative = probability - y
    curvature = tail / ((1 + tail) * (1 + tail))
  }
}

/// σ(z)
func sigmoid(_ z: Double) -> Double {
  let tail = exp(-abs(z))
  return (z >= 0 ? 1 : tail) / (1 + tail)
}
