import AlignmentCore
import Kernels

/// Keys and values of all earlier tokens of several sequences, so that decoding computes each token once.
final class KeyValueCache {
  private let configuration: ModelConfiguration
  private let sequences: Int
  private let length: Int
  /// (L, sequences, positions, 2·kvHeads·D), keys before values
  private let entries: FloatBuffer
  /// (positions)
  private let scores: FloatBuffer

  init(_ configuration: ModelConfiguration, sequences: Int, length: Int) throws {
    self.configuration = configuration
    self.sequences = sequences
    self.length = length
    let width = 2 * configuration.keyValueWidth
    entries = try FloatBuffer(count: configuration.layerCount * sequences * length * width, purpose: "key-value cache")
    scores = try FloatBuffer(count: length, purpose: "attention scores")
  }

  /// Adds one token of each sequence and attends from it to its sequence so far.
  ///
  /// - Parameters:
  ///   - unit: row s is the newest token of sequence s; all earlier positions of s were added before.
  ///   - projections: (sequences, (heads + 2·kvHeads)·D) after rotation.
  ///   - output: (sequences, heads·D)
  func attend(layer: Int, _ unit: WorkUnit, projections: Matrix, into output: Matrix, window: Int) {
    let c = configuration
    for sequence in 0..<unit.tokens.count {
      let position = Int(unit.positions[sequence])
      let cached = sequenceEntries(layer, sequence)
      let newest = Matrix(projections.row(sequence) + c.queryWidth, rows: 1, columns: 2 * c.keyValueWidth)
      Elementwise.copy(newest, into: cached.rows(position..<position + 1))
      let visible = max(0, position + 1 - min(window, length))..<position + 1
      for head in 0..<c.headCount {
        attend(head, projections.row(sequence), cached.rows(visible), into: output.row(sequence))
      }
    }
  }

  private func attend(
    _ head: Int, _ projection: UnsafeMutablePointer<Float>, _ cached: Matrix, into output: UnsafeMutablePointer<Float>
  ) {
    let d = configuration.headDimension
    let start = head / (configuration.headCount / configuration.keyValueHeadCount) * d
    let keys = cached.columns(start..<start + d)
    let values = cached.columns(configuration.keyValueWidth + start..<configuration.keyValueWidth + start + d)
    let row = Matrix(scores.view, rows: 1, columns: cached.rows)
    let query = Matrix(projection + head * d, rows: 1, columns: d)
    Product.multiply(query, keys.transposed, into: row, scale: 1 / Float(d).squareRoot())
    _ = Softmax.normalize(row.base, valid: 0..<row.columns, width: row.columns)
    Product.multiply(row, values, into: Matrix(output + head * d, rows: 1, columns: d))
  }

  private func sequenceEntries(_ layer: Int, _ sequence: Int) -> Matrix {
    let width = 2 * configuration.keyValueWidth
    let offset = (layer * sequences + sequence) * length * width
    return Matrix(entries.view[offset..<offset + length * width], rows: length, columns: width)
  }
}
