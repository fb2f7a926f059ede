/// A matrix of few non-zero elements, row by row.
package struct SparseRows: Sendable, Equatable {
  package let columns: Int
  /// Where each row starts in ``indices`` and ``values``, and where the last one ends.
  private(set) var starts = [0]
  private(set) var indices: [Int32] = []
  private(set) var values: [Double] = []

  package init(columns: Int) { self.columns = columns }

  package var rows: Int { starts.count - 1 }

  /// Adds a row of elements by column, which are laid out by rising column so that sums have one order.
  package mutating func append(_ elements: [Int: Double]) {
    for (column, value) in elements.sorted(by: { $0.key < $1.key }) where value != 0 {
      precondition((0..<columns).contains(column), "column \(column) of \(columns)")
      indices.append(Int32(column))
      values.append(value)
    }
    starts.append(indices.count)
  }

  /// Some rows, in the order given.
  package subscript(rows: [Int]) -> SparseRows {
    var result = SparseRows(columns: columns)
    for row in rows {
      result.indices += indices[starts[row]..<starts[row + 1]]
      result.values += values[starts[row]..<starts[row + 1]]
      result.starts.append(result.indices.count)
    }
    return result
  }

  /// The product with a vector of columns.
  package static func * (matrix: SparseRows, vector: [Double]) -> [Double] {
    precondition(vector.count == matrix.columns, "\(vector.count) elements for \(matrix.columns) columns")
    return (0..<matrix.rows).map { row in
      var sum = 0.0
      for place in matrix.starts[row]..<matrix.starts[row + 1] {
        sum += matrix.values[place] * vector[Int(matrix.indices[place])]
      }
      return sum
    }
  }

  /// Adds the product of the transposed matrix with a vector of rows.
  func addTransposed(_ vector: [Double], into result: inout [Double]) {
    for row in 0..<rows where vector[row] != 0 {
      for place in starts[row]..<starts[row + 1] { result[Int(indices[place])] += values[place] * vector[row] }
    }
  }
}
