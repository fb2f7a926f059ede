import AlignmentCore
import Kernels

/// The gradient that an embedding table has from the tokens of one unit: a row for each token that occurs.
///
/// All other rows are 0, and a table can be most of a model; so the rows are kept apart from the flat gradient, to which
/// an output embedding in the same table contributes densely.
package final class EmbeddingRows {
  /// Where the table lies among the trained parameters.
  package let table: Range<Int>
  /// H
  package let width: Int
  /// Most rows of a unit.
  package let capacity: Int
  /// Rows that the unit has.
  package private(set) var count = 0
  /// (count) the tokens, each once, in the order of the unit.
  package let tokens: UnsafeMutablePointer<Int32>
  private let values: FloatBuffer
  /// (V) the row of each token of the unit, −1 for others.
  private let places: UnsafeMutablePointer<Int32>
  /// (T) the row of each place of the unit.
  private let targets: UnsafeMutablePointer<Int32>

  /// - Throws: ``Fault`` if memory does not suffice.
  init(table: Range<Int>, _ configuration: ModelConfiguration, unitTokens: Int) throws {
    self.table = table
    width = configuration.hiddenSize
    capacity = min(unitTokens, configuration.vocabularySize)
    values = try FloatBuffer(count: capacity * width, purpose: "embedding gradients")
    tokens = .allocate(capacity: capacity)
    targets = .allocate(capacity: unitTokens)
    places = .allocate(capacity: configuration.vocabularySize)
    places.initialize(repeating: -1, count: configuration.vocabularySize)
  }

  deinit {
    tokens.deallocate()
    targets.deallocate()
    places.deallocate()
  }

  /// (count, H)
  package var gradients: FloatView { values.view[0..<count * width] }

  /// Adds up the gradients of equal tokens.
  ///
  /// - Parameters:
  ///   - gradients: (T, H) of the embedded tokens.
  func collect(_ unit: WorkUnit, _ gradients: Matrix) {
    count = 0
    for (index, token) in unit.tokens.enumerated() {
      if places[Int(token)] < 0 {
        places[Int(token)] = Int32(count)
        tokens[count] = token
        count += 1
      }
      targets[index] = places[Int(token)]
    }
    for row in 0..<count { places[Int(tokens[row])] = -1 }
    Elementwise.clear(self.gradients)
    Elementwise.scatterAddRows(
      of: gradients, targets, into: Matrix(self.gradients, rows: count, columns: width))
  }
}
