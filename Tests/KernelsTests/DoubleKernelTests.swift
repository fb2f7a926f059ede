import Foundation
import Kernels
import Testing

/// Products, factors and passes over features in Float64.
@Suite struct DoubleKernelTests {
  // Sums of at most 70 products of numbers below 2.
  static let tolerance = 1e-13

  private func matrix(_ rows: Int, _ columns: Int, _ generator: inout TestGenerator) -> DoubleMatrix {
    var result = DoubleMatrix(rows: rows, columns: columns)
    result.elements = generator.floats(rows * columns).doubles
    return result
  }

  @Test(arguments: [[1, 1, 1], [2, 3, 4], [17, 1, 5], [1, 33, 16], [5, 16, 70], [3, 4, 0]])
  func productsAreSumsOfProducts(shape: [Int]) {
    let (m, n, k) = (shape[0], shape[1], shape[2])
    var generator = TestGenerator(m * 10_000 + n * 100 + k)
    let (a, b) = (matrix(m, k, &generator), matrix(n, k, &generator))
    var c = matrix(m, n, &generator)
    DoubleProduct.multiply(a, transposed: b, into: &c)
    for i in 0..<m {
      for j in 0..<n {
        let expected = (0..<k).reduce(0.0) { $0 + a[i, $1] * b[j, $1] }
        #expect(abs(c[i, j] - expected) < Self.tolerance)
      }
    }
    let x = generator.floats(k).doubles
    var y = [Double](repeating: 9, count: m + 1)
    DoubleProduct.multiply(a, x, into: &y)
    for i in 0..<m {
      #expect(abs(y[i] - (0..<k).reduce(0.0) { $0 + a[i, $1] * x[$1] }) < Self.tolerance)
    }
    #expect(y[m] == 9)
    var z = generator.floats(k).doubles
    let before = z
    DoubleProduct.add(transposed: a, y, into: &z)
    for j in 0..<k {
      #expect(abs(z[j] - (0..<m).reduce(before[j]) { $0 + a[$1, j] * y[$1] }) < Self.tolerance * 70)
    }
  }

  @Test func gramsAreAddedToTheLowerTriangle() {
    var generator = TestGenerator(3)
    var a = matrix(9, 5, &generator)
    var c = matrix(5, 5, &generator)
    let before = c
    a.rows = 7
    DoubleProduct.addGram(of: a, into: &c)
    for i in 0..<5 {
      for j in 0..<5 {
        let sum = (0..<7).reduce(0.0) { $0 + a[$1, i] * a[$1, j] }
        #expect(abs(c[i, j] - before[i, j] - (j <= i ? sum : 0)) < Self.tolerance)
      }
    }
  }

  @Test(arguments: [1, 2, 7, 8, 9, 40])
  func choleskySolvesSymmetricSystems(size: Int) throws {
    var generator = TestGenerator(size)
    let root = matrix(size + 3, size, &generator)
    var a = DoubleMatrix(rows: size, columns: size)
    DoubleProduct.addGram(of: root, into: &a)
    let b = generator.floats(size).doubles
    for shift in [0, 0.5] {
      let x = try #require(Cholesky(a, shift: shift)).solve(b)
      for i in 0..<size {
        let left = (0..<size).reduce(0.0) { $0 + a[max(i, $1), min(i, $1)] * x[$1] } + shift * x[i]
        #expect(abs(left - b[i]) < 1e-9)
      }
    }
  }

  @Test func choleskyRefusesWhatIsNotPositiveDefinite() {
    var a = DoubleMatrix(rows: 2, columns: 2)
    a.elements = [1, 0, 1, 1]
    #expect(Cholesky(a) == nil)
    #expect(Cholesky(a, shift: 1e-6) != nil)
    a.elements = [1, 0, 2, 1]
    #expect(Cholesky(a) == nil)
    a.elements = [0, 0, 0, 0]
    #expect(Cholesky(a) == nil)
    a.elements = [.nan, 0, 0, 1]
    #expect(Cholesky(a) == nil)
  }

  @Test func rowsAreStandardizedWhenTheyAreGathered() {
    let features: [Float] = [1, 2, 3, 4, 5, 6, 7, 8, 9]
    let scaling = FeatureRows.Scaling(columns: [0, 2], means: [2, 1], scales: [3, 0.5])
    var block = DoubleMatrix(rows: 3, columns: 3)
    block.elements = [Double](repeating: -1, count: 9)
    FeatureRows.gather(features, width: 3, rows: [5, 2, 0, 1][1...2], scaling, into: &block)
    #expect(block.rows == 2)
    #expect(block.elements[..<6] == [15, 4, -1, -3, 1, -1])
    FeatureRows.scale(&block, by: [2, -1])
    #expect(block.elements[..<6] == [30, 8, -2, 3, -1, 1])
    FeatureRows.subtract([1, 2, 3], from: &block)
    #expect(block.elements == [29, 6, -5, 2, -3, -2, -1, -1, -1])
  }

  @Test func neighbouringColumnsAreGatheredTogether() {
    let columns = [0, 1, 2, 5, 7, 8]
    let scaling = FeatureRows.Scaling(
      columns: columns, means: columns.map { Double($0) }, scales: [1, 2, 4, 8, 16, 32])
    let features = (0..<30).map { Float($0 * $0) }
    var block = DoubleMatrix(rows: 3, columns: 6)
    FeatureRows.gather(features, width: 10, rows: [0, 1, 2], scaling, into: &block)
    for row in 0..<3 {
      for (i, column) in columns.enumerated() {
        #expect(block[row, i] == (Double(features[row * 10 + column]) - Double(column)) * scaling.scales[i])
      }
    }
  }

  @Test func productsFollowTheFeatures() {
    var block = DoubleMatrix(rows: 2, columns: 7)
    block.elements = [2, 3, 5, 0, 0, 0, 0, -1, 4, 0, 0, 0, 0, 9]
    FeatureRows.fillProducts(ofFirst: 2, in: &block, from: 3)
    FeatureRows.fill(column: 6, of: &block, with: 1)
    #expect(block.elements == [2, 3, 5, 4, 6, 9, 1, -1, 4, 0, 1, -4, 16, 1])
  }

  @Test func columnsAreSummedAroundTheirShifts() {
    var sums = [10.0, 20]
    FeatureRows.addSums([1, 2, 3, 5], shifts: [0, 1], into: &sums)
    #expect(sums == [14, 25])
    FeatureRows.addSums([1, 2, 3, 5], shifts: [2, 1], squared: true, into: &sums)
    #expect(sums == [16, 42])
  }
}
