import Foundation
import Kernels
import Testing

@Suite struct GaussianKernelTests {
  private func matrix(_ rows: [[Double]]) -> DoubleMatrix {
    var result = DoubleMatrix(rows: rows.count, columns: rows[0].count)
    result.elements = rows.flatMap { $0 }
    return result
  }

  @Test func distancesAreSquaredAndNeverNegative() {
    var generator = TestGenerator(1)
    let (n, centers, width) = (5, 3, 7)
    let x = matrix((0..<n).map { _ in generator.floats(width).doubles })
    var c = matrix((0..<centers).map { _ in generator.floats(width).doubles })
    for i in 0..<width { c[1, i] = x[2, i] }
    var distances = DoubleMatrix(rows: n, columns: centers)
    GaussianKernel.squaredDistances(x, c, norms: GaussianKernel.squaredNorms(c), into: &distances)
    for i in 0..<n {
      for l in 0..<centers {
        let expected = (0..<width).reduce(0.0) { $0 + (x[i, $1] - c[l, $1]) * (x[i, $1] - c[l, $1]) }
        #expect(abs(distances[i, l] - expected) < 1e-14 && distances[i, l] >= 0)
      }
    }
  }

  @Test(arguments: [1, 8, 13])
  func kernelsAreExponentials(columns: Int) {
    let distances = matrix((0..<40).map { row in (0..<columns).map { Double(row * columns + $0) * 0.731 } })
    var values = DoubleMatrix(rows: 40, columns: columns)
    GaussianKernel.evaluate(distances, rate: 1.3, into: &values)
    for (distance, value) in zip(distances.elements, values.elements) {
      // Below e^−708 the kernel is not quite 0.
      let expected = max(exp(-1.3 * distance), 3e-308)
      #expect(abs(value - expected) <= (expected < 1e-300 ? 1e-307 : 5e-16 * expected))
    }
  }

  @Test func exponentialsAreAccurateEverywhere() {
    let arguments = stride(from: -700.0, through: 700, by: 0.377)
    let distances = matrix([arguments.map { -$0 }])
    var values = DoubleMatrix(rows: 1, columns: distances.columns)
    GaussianKernel.evaluate(distances, rate: 1, into: &values)
    for (value, x) in zip(values.elements, arguments) { #expect(abs(value / exp(x) - 1) < 5e-16) }
  }

  @Test(arguments: [1, 8, 13])
  func logSumsDoNotUnderflow(centers: Int) {
    let distances = matrix([0.0, 3, 1e4, 1e7].map { far in (0..<centers).map { far + Double($0) } })
    var offsets = (0..<centers).map { Double($0) * 0.3 - 1 }
    if centers > 1 { offsets[0] = -.infinity }
    var sums = [7.0]
    GaussianKernel.appendLogSums(of: distances, rate: 0.5, offsets: offsets, to: &sums)
    #expect(sums.count == 5 && sums[0] == 7)
    for row in 0..<4 {
      let exponents = (0..<centers).map { offsets[$0] - 0.5 * distances[row, $0] }
      let largest = exponents.max() ?? 0
      let expected = largest + log(exponents.reduce(0) { $0 + exp($1 - largest) })
      #expect(abs(sums[row + 1] - expected) <= 4e-16 * abs(expected) + 1e-15)
    }
  }
}
