import AlignmentCore
import Collectives

/// The results of a list of groups: one row for each, filled by the rank that computed it and then shared.
///
/// A row is 0 on every rank but one, so adding the tables of all ranks is exact, and whatever is derived from the sum is
/// the same on any number of ranks.
package struct StepTable {
  package private(set) var rows = 0
  package private(set) var columns = 0
  private var values: [Double] = []
  /// Ranks that were asked to stop, known after ``share(over:isStopping:)``.
  private(set) var stopRequests = 0.0

  /// Begins a list; allocates only if it is longer than any before.
  mutating func begin(rows: Int, columns: Int) {
    (self.rows, self.columns) = (rows, columns)
    values.removeAll(keepingCapacity: true)
    for _ in 0...rows * columns { values.append(0) }
  }

  package subscript(row: Int, column: Int) -> Double {
    get { values[row * columns + column] }
    set { values[row * columns + column] = newValue }
  }

  /// The sum of a column over all rows.
  package func sum(ofColumn column: Int) -> Double {
    var sum = 0.0
    for row in 0..<rows { sum += self[row, column] }
    return sum
  }

  /// Adds the tables of all ranks; the wish to stop rides along.
  mutating func share(over communicator: any Communicator, isStopping: Bool = false) throws {
    values[rows * columns] = isStopping ? 1 : 0
    try values.withUnsafeMutableBufferPointer { try communicator.allReduce(.sum, $0) }
    stopRequests = values[rows * columns]
  }
}
