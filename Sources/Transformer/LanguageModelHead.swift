import AlignmentCore
import Kernels

#if canImport(Glibc)
  import Glibc
#endif

/// Log-probabilities of completion tokens from hidden states, and their gradient.
///
/// Only positions that predict a completion token have logits. A unit's groups are taken in chunks of rows, and within a
/// chunk the vocabulary in panels of columns that are still in cache when the softmax reads them. The logits of a chunk
/// are kept for the gradient; a group with more rows than the budget allows has them computed twice instead.
///
/// Shapes: R rows (predictions), V vocabulary, H hidden.
final class LanguageModelHead {
  /// Vocabulary entries of a panel.
  static let panelColumns = 2048

  private let vocabularySize: Int
  private let hiddenSize: Int
  private let range: Range<Int>
  private let chunkRows: Int
  /// (V / panel, chunk rows, panel)
  private let panels: FloatBuffer
  /// (chunk rows, H) each
  private let inputs: FloatBuffer
  private let dInputs: FloatBuffer
  /// (R) each
  private let largest: FloatBuffer
  private let logSums: FloatBuffer
  private let sums: UnsafeMutablePointer<Double>
  private let entropyOrder: RenyiOrder?
  /// (R) entropy of the distribution that each completion token of the last unit is predicted from, in nats; empty where
  /// none is asked for. During the pass it holds Σ exp².
  let entropies: UnsafeMutableBufferPointer<Double>
  /// (R) log-probability of each completion token of the last unit, in nats.
  let logProbabilities: UnsafeMutableBufferPointer<Double>
  /// (R) derivative of the loss with respect to each of them, written by the objective.
  let derivatives: FloatBuffer

  /// - Parameters:
  ///   - budget: bytes that kept logits may take.
  ///   - entropyOrder: which entropy of each distribution is wanted, if any.
  init(
    _ c: ModelConfiguration, range: Range<Int>, capacity: UnitCapacity, budget: Int, entropyOrder: RenyiOrder? = nil
  ) throws {
    self.entropyOrder = entropyOrder
    vocabularySize = c.vocabularySize
    hiddenSize = c.hiddenSize
    self.range = range
    let rowBytes = c.vocabularySize * MemoryLayout<Float>.stride
    let rows = capacity.predictions
    chunkRows = min(rows, max(16, budget / rowBytes))
    let panelCount = (c.vocabularySize + Self.panelColumns - 1) / Self.panelColumns
    panels = try FloatBuffer(
      count: panelCount * chunkRows * min(Self.panelColumns, c.vocabularySize), purpose: "logits")
    inputs = try FloatBuffer(count: chunkRows * c.hiddenSize, purpose: "inputs of the head")
    dInputs = try FloatBuffer(count: chunkRows * c.hiddenSize, purpose: "input gradients of the head")
    largest = try FloatBuffer(count: rows, purpose: "logit maxima")
    logSums = try FloatBuffer(count: rows, purpose: "softmax denominators")
    derivatives = try FloatBuffer(count: rows, purpose: "log-probability derivatives")
    sums = .allocate(capacity: rows)
    logProbabilities = .allocate(capacity: rows)
    entropies = .allocate(capacity: entropyOrder == nil ? 0 : rows)
  }

  deinit {
    sums.deallocate()
    logProbabilities.deallocate()
    entropies.deallocate()
  }

  /// Fills ``logProbabilities`` for all rows of a unit.
  func score(_ unit: WorkUnit, hidden: Matrix, parameters: FloatView) {
    forEachPiece(of: 0..<unit.targets.count) { rows in score(rows, unit, hidden, parameters) }
  }

  /// Fills ``logProbabilities``, lets the objective turn them into ``derivatives``, and propagates those.
  ///
  /// - Parameters:
  ///   - dHidden: (T, H), overwritten.
  ///   - gradients: the gradient of the head's weight, if it is trained, is overwritten.
  ///   - objective: called for each group when its rows of ``logProbabilities`` are known; writes its ``derivatives``.
  func scoreAndDifferentiate(
    _ unit: WorkUnit, hidden: Matrix, parameters: FloatView, gradients: GradientSink, dHidden: Matrix,
    objective: (GroupSpan) -> Void
  ) {
    Elementwise.clear(FloatView(base: dHidden.base, count: dHidden.rows * dHidden.stride))
    var isFirst = true
    forEachChunk(of: unit) { groups, rows in
      forEachPiece(of: rows) { score($0, unit, hidden, parameters) }
      for group in groups { objective(unit.groups[group]) }
      forEachPiece(of: rows) { piece in
        if rows.count > chunkRows { score(piece, unit, hidden, parameters) }
        differentiate(piece, unit, parameters, gradients, dHidden, keeping: isFirst ? 0 : 1)
        isFirst = false
      }
    }
  }

  private func score(_ rows: Range<Int>, _ unit: WorkUnit, _ hidden: Matrix, _ parameters: FloatView) {
    let input = Matrix(inputs.view, rows: rows.count, columns: hiddenSize)
    withPointer(unit.predictionSources, rows) { Elementwise.gatherRows(of: hidden, $0, into: input) }
    let squares = entropyOrder == .two ? entropies.baseAddress : nil
    for row in rows { (largest.view.base[row], sums[row]) = (-.infinity, 0) }
    if let squares { for row in rows { squares[row] = 0 } }
    forEachPanel(rows, parameters) { panel, columns, weight in
      Product.multiply(input, weight.transposed, into: panel)
      VocabularySoftmax.accumulate(
        panel, largest: largest.view.base + rows.lowerBound, sums: sums + rows.lowerBound,
        squares: squares.map { $0 + rows.lowerBound })
      for (row, target) in zip(rows, unit.targets[rows]) where columns.contains(Int(target)) {
        logProbabilities[row] = Double(panel.row(row - rows.lowerBound)[Int(target) - columns.lowerBound])
      }
    }
    for row in rows {
      let logSum = Double(largest.view.base[row]) + log(sums[row])
      logSums.view.base[row] = Float(logSum)
      logProbabilities[row] -= logSum
    }
    setEntropies(rows, parameters)
  }

  /// Of rows whose logits were computed last. Relative to the largest logit m: Σ p² = Σ e^(2(z − m)) / (Σ e^(z − m))², and
  /// max p = 1 / Σ e^(z − m).
  private func setEntropies(_ rows: Range<Int>, _ parameters: FloatView) {
    switch entropyOrder {
    case .one:
      let entropies = UnsafeMutableBufferPointer(rebasing: entropies[rows])
      entropies.update(repeating: 0)
      forEachPanel(rows, parameters) { panel, _, _ in
        VocabularySoftmax.addEntropies(
          panel, logSums: logSums.view.base + rows.lowerBound, to: entropies.baseAddress!)
      }
    case .two: for row in rows { entropies[row] = 2 * log(sums[row]) - log(entropies[row]) }
    case .infinity: for row in rows { entropies[row] = log(sums[row]) }
    case nil: break
    }
  }

  private func differentiate(
    _ rows: Range<Int>, _ unit: WorkUnit, _ parameters: FloatView, _ gradients: GradientSink, _ dHidden: Matrix,
    keeping: Float
  ) {
    let input = Matrix(inputs.view, rows: rows.count, columns: hiddenSize)
    let dInput = Matrix(dInputs.view, rows: rows.count, columns: hiddenSize)
    let dWeight = gradients.range(range).map { Matrix($0, rows: vocabularySize, columns: hiddenSize) }
    forEachPanel(rows, parameters) { panel, columns, weight in
      withPointer(unit.targets, rows) { targets in
        VocabularySoftmax.backward(
          panel, firstColumn: columns.lowerBound, targets: targets, logSums: logSums.view.base + rows.lowerBound,
          derivatives: derivatives.view.base + rows.lowerBound)
      }
      Product.multiply(panel, weight, into: dInput, keeping: columns.lowerBound == 0 ? 0 : 1)
      if let dWeight { Product.multiply(panel.transposed, input, into: dWeight.rows(columns), keeping: keeping) }
    }
    withPointer(unit.predictionSources, rows) { Elementwise.scatterAddRows(of: dInput, $0, into: dHidden) }
  }
}

extension LanguageModelHead {
  /// Runs of whole groups with at most ``chunkRows`` rows, or a single larger group.
  @inline(__always)
  private func forEachChunk(of unit: WorkUnit, _ body: (_ groups: Range<Int>, _ rows: Range<Int>) -> Void) {
    var firstGroup = 0
    while firstGroup < unit.groups.count {
      let firstRow = firstRow(ofGroup: firstGroup, unit)
      var end = firstGroup + 1
      while end < unit.groups.count, self.firstRow(ofGroup: end + 1, unit) - firstRow <= chunkRows { end += 1 }
      body(firstGroup..<end, firstRow..<self.firstRow(ofGroup: end, unit))
      firstGroup = end
    }
  }

  private func firstRow(ofGroup group: Int, _ unit: WorkUnit) -> Int {
    guard group < unit.groups.count else { return unit.targets.count }
    return unit.completions[unit.groups[group].completions.lowerBound].rows.lowerBound
  }

  @inline(__always)
  private func forEachPiece(of rows: Range<Int>, _ body: (Range<Int>) -> Void) {
    var start = rows.lowerBound
    while start < rows.upperBound {
      let end = min(start + chunkRows, rows.upperBound)
      body(start..<end)
      start = end
    }
  }

  @inline(__always)
  private func forEachPanel(
    _ rows: Range<Int>, _ parameters: FloatView,
    _ body: (_ panel: Matrix, _ columns: Range<Int>, _ weight: Matrix) -> Void
  ) {
    let weight = Matrix(parameters[range], rows: vocabularySize, columns: hiddenSize)
    var start = 0
    while start < vocabularySize {
      let columns = start..<min(start + Self.panelColumns, vocabularySize)
      let base = panels.view[start * chunkRows..<columns.upperBound * chunkRows].base
      body(Matrix(base, rows: rows.count, columns: columns.count), columns, weight.rows(columns))
      start = columns.upperBound
    }
  }

  @inline(__always)
  private func withPointer(_ values: [Int32], _ range: Range<Int>, _ body: (UnsafePointer<Int32>) -> Void) {
    values.withUnsafeBufferPointer { body($0.baseAddress! + range.lowerBound) }
  }
}
