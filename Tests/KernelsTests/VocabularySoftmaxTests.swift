import Foundation
import Kernels
import Testing

@Suite struct VocabularySoftmaxTests {
  // Sums over a vocabulary in sixteen Float32 lanes per panel: the exponential's 2·10⁻⁷ and its rounding dominate.
  static let tolerance = 6e-7

  /// Logits (rows, vocabulary) and what is to become of them.
  struct Case: CustomTestStringConvertible, Sendable {
    let name: String
    let logits: [[Float]]
    let targets: [Int32]
    let derivatives: [Float]

    var testDescription: String { name }
    var vocabulary: Int { logits[0].count }

    init(_ name: String, _ logits: [[Float]]) {
      self.name = name
      self.logits = logits
      targets = logits.indices.map { Int32(($0 * 31 + logits[0].count - 1) % logits[0].count) }
      derivatives = logits.indices.map { [-1, 0.25, 0, 3, -0.5][$0 % 5] }
    }
  }

  static let cases: [Case] = [
    random("random", vocabulary: 100, 20), random("wide", vocabulary: 5_000, 10), random("single", vocabulary: 1, 3),
    Case("rising", [(0..<67).map { Float($0) * 3 }, (0..<67).map { Float(-$0) * 3 }]),
    Case("equal", [[Float](repeating: 1e4, count: 67), [Float](repeating: -1e4, count: 67)]),
    Case(
      "one dominates",
      [0, 40, 66].map { position in (0..<67).map { $0 == position ? 1e4 : Float($0) } }
        + [(0..<67).map { $0 == 66 ? -1e4 : 1e4 }]),
  ]

  private static func random(_ name: String, vocabulary: Int, _ magnitude: Double) -> Case {
    var generator = TestGenerator(vocabulary)
    return Case(name, (0..<5).map { _ in generator.floats(vocabulary, -magnitude...magnitude) })
  }

  /// Panels that cover a vocabulary.
  static let panelWidths: [[Int]] = [[100_000], [1, 7, 16, 33, 100_000], [16], [3]]

  private func panels(_ vocabulary: Int, _ widths: [Int]) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    while ranges.last?.upperBound ?? 0 < vocabulary {
      let start = ranges.last?.upperBound ?? 0
      ranges.append(start..<min(vocabulary, start + widths[ranges.count % widths.count]))
    }
    return ranges
  }

  private func panel(_ data: Case, _ columns: Range<Int>) -> Grid {
    Grid(data.logits.flatMap { $0[columns] }, rows: data.logits.count, columns: columns.count, gap: 2)
  }

  /// The logarithms of the denominators, over panels.
  private func logSums(_ data: Case, _ widths: [Int]) -> [Double] {
    let largest = Memory(count: data.logits.count, of: -.infinity)
    var sums = [Double](repeating: 0, count: data.logits.count)
    for columns in panels(data.vocabulary, widths) {
      let grid = panel(data, columns)
      VocabularySoftmax.accumulate(grid.matrix, largest: largest.base, sums: &sums)
      #expect(grid.isIntact && grid.values == panel(data, columns).values)
    }
    #expect(largest.isIntact && largest.values == data.logits.map { $0.max() ?? 0 })
    return zip(largest.values, sums).map { Double($0) + log($1) }
  }

  @Test(arguments: cases, panelWidths)
  func panelsAddUpToTheLogarithmOfTheDenominator(data: Case, widths: [Int]) {
    let expected = data.logits.map { SoftmaxTests.reference($0.doubles).logSum }
    // The sum is kept in Float64, so the error is absolute: that of log Σ.
    for (actual, reference) in zip(logSums(data, widths), expected) {
      #expect(abs(actual - reference) <= Self.tolerance)
    }
  }

  /// Maxima, Σ exp and, if asked, Σ exp² of each row, over panels.
  private func sums(_ data: Case, _ widths: [Int], squaring: Bool) -> (
    largest: [Float], sums: [Double], squares: [Double]
  ) {
    let largest = Memory(count: data.logits.count, of: -.infinity)
    var sums = [Double](repeating: 0, count: data.logits.count)
    var squares = sums
    for columns in panels(data.vocabulary, widths) {
      let matrix = panel(data, columns)
      squares.withUnsafeMutableBufferPointer {
        VocabularySoftmax.accumulate(
          matrix.matrix, largest: largest.base, sums: &sums, squares: squaring ? $0.baseAddress : nil)
      }
    }
    return (largest.values, sums, squares)
  }

  // Σ p² = Σ exp² / (Σ exp)²: the errors of three sums.
  @Test(arguments: cases, panelWidths)
  func squaresGiveTheProbabilityThatTwoDrawsAgree(data: Case, widths: [Int]) {
    let found = sums(data, widths, squaring: true)
    for (row, logits) in data.logits.enumerated() {
      let expected = log(SoftmaxTests.reference(logits.doubles).probabilities.reduce(0) { $0 + $1 * $1 })
      #expect(abs(log(found.squares[row]) - 2 * log(found.sums[row]) - expected) <= 3 * Self.tolerance)
    }
  }

  @Test(arguments: cases, panelWidths)
  func squaresCostTheSumsNothing(data: Case, widths: [Int]) {
    let (with, without) = (sums(data, widths, squaring: true), sums(data, widths, squaring: false))
    #expect(with.largest == without.largest && with.sums == without.sums)
    #expect(without.squares.allSatisfy { $0 == 0 })
  }

  // The log sum reaches the kernel in Float32: a relative error of 6·10⁻⁸·|log sum| in every probability.
  @Test(arguments: cases, panelWidths)
  func backwardIsOneHotMinusSoftmax(data: Case, widths: [Int]) {
    let expected = data.logits.map { SoftmaxTests.reference($0.doubles) }
    let sums = Memory(expected.map { Float($0.logSum) })
    let derivatives = Memory(data.derivatives)
    for columns in panels(data.vocabulary, widths) {
      let grid = panel(data, columns)
      VocabularySoftmax.backward(
        grid.matrix, firstColumn: columns.lowerBound, targets: data.targets, logSums: sums.base,
        derivatives: derivatives.base)
      #expect(grid.isIntact)
      for (row, reference) in expected.enumerated() {
        let d = Double(data.derivatives[row])
        let gradient = columns.map { d * ((Int(data.targets[row]) == $0 ? 1 : 0) - reference.probabilities[$0]) }
        let tolerance = Self.tolerance + 6e-8 * abs(reference.logSum)
        let actual = Array(grid.values[row * columns.count..<(row + 1) * columns.count])
        expectClose(actual, gradient, tolerance: tolerance, scale: abs(d) * 0.5, "row \(row) of \(data.name)")
      }
    }
  }

  // As above: each log-probability is off by 6·10⁻⁸·|log sum|, and so is their mean.
  @Test(arguments: cases, panelWidths)
  func panelsAddUpToTheEntropy(data: Case, widths: [Int]) {
    let references = data.logits.map { SoftmaxTests.reference($0.doubles) }
    let sums = Memory(references.map { Float($0.logSum) })
    var entropies = [Double](repeating: 0, count: data.logits.count)
    for columns in panels(data.vocabulary, widths) {
      let grid = panel(data, columns)
      VocabularySoftmax.addEntropies(grid.matrix, logSums: sums.base, to: &entropies)
      #expect(grid.isIntact && grid.values == panel(data, columns).values)
    }
    for (entropy, reference) in zip(entropies, references) {
      let expected = -reference.probabilities.reduce(0) { $1 > 0 ? $0 + $1 * log($1) : $0 }
      #expect(abs(entropy - expected) <= (Self.tolerance + 1.2e-7 * abs(reference.logSum)) * (1 + expected))
    }
  }

  // d · log p(target) differentiated by the logits.
  @Test func backwardIsTheDerivative() {
    let data = Self.random("small", vocabulary: 19, 3)
    let sums = Memory(data.logits.map { Float(SoftmaxTests.reference($0.doubles).logSum) })
    let (grid, derivatives) = (panel(data, 0..<19), Memory(data.derivatives))
    VocabularySoftmax.backward(
      grid.matrix, firstColumn: 0, targets: data.targets, logSums: sums.base, derivatives: derivatives.base)
    let expected = data.logits.enumerated().flatMap { row, logits in
      centralDifferences(at: logits.doubles) { point in
        let target = Int(data.targets[row])
        return Double(data.derivatives[row]) * (point[target] - SoftmaxTests.reference(point).logSum)
      }
    }
    expectClose(grid.values, expected, tolerance: Self.tolerance, scale: 1)
  }
}
