import Foundation
import Kernels
import Testing

@Suite struct SoftmaxTests {
  // The exponential's relative error of 2·10⁻⁷, a sum, a reciprocal and a product in Float32.
  static let tolerance = 6e-7
  // Arguments below −87 are taken as −87: a probability that should be 0 is 1.7·10⁻³⁸ at most.
  static let underflow = 1e-37
  static let shapes = [
    (0..<1, 1), (0..<5, 5), (0..<16, 16), (0..<17, 20), (3..<4, 9), (2..<40, 48), (16..<32, 48), (30..<47, 47),
  ]

  static func reference(_ scores: [Double]) -> (probabilities: [Double], logSum: Double) {
    let largest = scores.max() ?? 0
    let sum = scores.reduce(0) { $0 + exp($1 - largest) }
    return (scores.map { exp($0 - largest) / sum }, largest + log(sum))
  }

  /// Normalises a row whose columns outside `valid` hold rubbish.
  private func normalize(_ scores: [Float], in valid: Range<Int>, width: Int) -> (row: Memory, logSum: Float) {
    let row = Memory(count: width)
    for (offset, score) in scores.enumerated() { row.base[valid.lowerBound + offset] = score }
    return (row, Softmax.normalize(row.base, valid: valid, width: width))
  }

  private func check(_ scores: [Float], in valid: Range<Int>, width: Int) {
    let (row, logSum) = normalize(scores, in: valid, width: width)
    let (probabilities, expectedLogSum) = Self.reference(scores.doubles)
    expectClose(
      Array(row.values[valid]), probabilities, tolerance: Self.tolerance, scale: Self.underflow / Self.tolerance)
    expectClose([logSum], [expectedLogSum], tolerance: Self.tolerance, scale: 1)
    let outside = row.values[..<valid.lowerBound] + row.values[valid.upperBound...]
    #expect(outside.allSatisfy { $0 == 0 } && row.isIntact)
  }

  @Test(arguments: shapes)
  func normalizesTheVisibleColumnsAndClearsTheOthers(valid: Range<Int>, width: Int) {
    var generator = TestGenerator(width)
    check(generator.floats(valid.count, -8...8), in: valid, width: width)
  }

  @Test(arguments: [
    [Float](repeating: 1e4, count: 20), [Float](repeating: -1e4, count: 20), [1e4, -1e4, 1e4], [-1e4, 0, 1e4],
    [Float](repeating: 0, count: 1), (0..<33).map { Float($0) * 600 - 1e4 }, [3e38, -3e38], [80, 0, -80, 79],
  ])
  func extremesAreExact(scores: [Float]) { check(scores, in: 4..<4 + scores.count, width: scores.count + 9) }

  // The exponential itself: with d = −1, log sum 0 and a target elsewhere, a panel becomes exp(logit).
  static let exponentialTolerance = 2e-7

  private func exponentials(_ arguments: [Float]) -> [Float] {
    let panel = Grid(arguments, rows: 1, columns: arguments.count)
    let (logSums, derivatives) = (Memory([0]), Memory([-1]))
    [Int32(-1)].withUnsafeBufferPointer {
      VocabularySoftmax.backward(
        panel.matrix, firstColumn: 0, targets: $0.baseAddress!, logSums: logSums.base, derivatives: derivatives.base)
    }
    return panel.values
  }

  @Test func theExponentialIsAccurateFromMinus87To88() {
    let arguments = (0...175_000).map { Float(-87 + Double($0) * 1e-3) }
    let values = exponentials(arguments)
    let errors = zip(values, arguments).map { abs(Double($0) / exp(Double($1)) - 1) }
    #expect(errors.max() ?? 1 < Self.exponentialTolerance)
    #expect(exponentials([0]) == [1])
  }

  @Test func theExponentialSaturates() {
    for low in exponentials([-88, -1e4, -3e38, -.infinity]) { #expect(low > 0 && Double(low) < Self.underflow) }
    for high in exponentials([89, 1e4, .infinity]) { #expect(high.isFinite && high > 1e38) }
  }

  // A NaN that reads as a tiny probability would hide a broken weight from whoever scores with it.
  @Test(arguments: [1, 15, 16, 40])
  func notANumberStaysNotANumber(count: Int) {
    #expect(exponentials(Array(repeating: .nan, count: count)).allSatisfy { $0.isNaN })
  }

  // exp(score − logSum) with the logarithm and the difference rounded to Float32: relative errors of 6·10⁻⁸ times their
  // magnitudes (12 above the offset, and 24) beside the exponential's.
  @Test(arguments: [0.0, 30, -200], shapes)
  func restoreGivesBackTheProbabilities(offset: Double, shape: (valid: Range<Int>, width: Int)) {
    var generator = TestGenerator(shape.width)
    let scores = generator.floats(shape.valid.count, offset - 8...offset + 8)
    let (row, logSum) = normalize(scores, in: shape.valid, width: shape.width)
    let restored = Memory(count: shape.width)
    for (index, score) in scores.enumerated() { restored.base[shape.valid.lowerBound + index] = score }
    Softmax.restore(restored.base, valid: shape.valid, width: shape.width, logSum: logSum)
    let tolerance = Self.tolerance + 6e-8 * (abs(offset) + 12 + 24)
    expectClose(restored.values, row.values.doubles, tolerance: tolerance, scale: Self.underflow / Self.tolerance)
    #expect(restored.isIntact)
  }

  @Test(arguments: [1, 5, 16, 17, 48])
  func backwardIsTheDerivative(width: Int) {
    var generator = TestGenerator(width)
    let (scores, upstream) = (generator.floats(width), generator.floats(width))
    let scale: Float = 0.3
    let scaled = scores.map { $0 * scale }
    let (row, _) = normalize(scaled, in: 0..<width, width: width)
    let dp = Memory(upstream)
    let mean = contraction(Self.reference(scaled.doubles).probabilities, upstream.doubles)
    Softmax.backward(dp.base, probabilities: row.base, mean: Float(mean), scale: scale, width: width)
    let derivative = centralDifferences(at: scores.doubles) { point in
      contraction(Self.reference(point.map { $0 * Double(scale) }).probabilities, upstream.doubles)
    }
    expectClose(dp.values, derivative, tolerance: Self.tolerance, scale: 1)
    #expect(dp.isIntact)
  }

  @Test(arguments: [0, 1, 15, 16, 17, 100])
  func dotIsTheSumOfProducts(count: Int) {
    var generator = TestGenerator(count)
    let (a, b) = (Memory(generator.floats(count)), Memory(generator.floats(count)))
    let expected = contraction(a.values.doubles, b.values.doubles)
    expectClose(
      [Softmax.dot(a.base, b.base, count: count)], [expected], tolerance: Self.tolerance, scale: Double(count) + 1)
  }
}
