/// Passes over Float32 features that lie row by row, one row for each response.
package enum FeatureRows {
  /// Which columns are taken, and how: (feature − mean) · scale.
  package struct Scaling: Sendable {
    /// Increasing.
    package let columns: [Int]
    package let means: [Double]
    package let scales: [Double]
    /// Neighbouring columns: the first one's number, and their places in `columns`.
    fileprivate let runs: [(first: Int, places: Range<Int>)]

    package init(columns: [Int], means: [Double], scales: [Double]) {
      precondition(columns.count == means.count && columns.count == scales.count, "columns, means and scales differ")
      (self.columns, self.means, self.scales) = (columns, means, scales)
      let starts = columns.indices.filter { $0 == 0 || columns[$0] != columns[$0 - 1] + 1 }
      runs = zip(starts, starts.dropFirst() + [columns.count]).map { (columns[$0], $0..<$1) }
    }
  }

  /// Adds every column's sum of (feature − shift)ᵖ to `sums`, where p is 1 or 2.
  package static func addSums(
    _ features: [Float], shifts: [Double], squared: Bool = false, into sums: inout [Double]
  ) {
    let width = shifts.count
    precondition(sums.count == width && width > 0 && features.count % width == 0, "shapes do not fit")
    features.withUnsafeBufferPointer { features in
      sums.withUnsafeMutableBufferPointer { sums in
        for start in stride(from: 0, to: features.count, by: width) {
          for column in 0..<width {
            let deviation = Double(features[start + column]) - shifts[column]
            sums[column] += squared ? deviation * deviation : deviation
          }
        }
      }
    }
  }

  /// Puts some rows, standardised, into the first columns of a block's rows.
  ///
  /// - Parameters:
  ///   - width: features of a row in memory.
  ///   - block: sets its number of rows.
  package static func gather(
    _ features: [Float], width: Int, rows: ArraySlice<Int32>, _ scaling: Scaling, into block: inout DoubleMatrix
  ) {
    let columns = block.columns
    precondition(scaling.columns.count <= columns, "\(scaling.columns.count) features for \(columns) columns")
    block.rows = rows.count
    features.withUnsafeBufferPointer { features in
      block.elements.withUnsafeMutableBufferPointer { block in
        guard let features = features.baseAddress, let block = block.baseAddress else { return }
        for (position, row) in rows.enumerated() {
          for run in scaling.runs {
            standardize(
              features + Int(row) * width + run.first, scaling, run.places, into: block + position * columns)
          }
        }
      }
    }
  }

  @inline(__always)
  private static func standardize(
    _ source: UnsafePointer<Float>, _ scaling: Scaling, _ places: Range<Int>, into target: UnsafeMutablePointer<Double>
  ) {
    scaling.means.withUnsafeBufferPointer { means in
      scaling.scales.withUnsafeBufferPointer { scales in
        for i in places { target[i] = (Double(source[i - places.lowerBound]) - means[i]) * scales[i] }
      }
    }
  }

  /// Puts a number into a column of all rows.
  package static func fill(column: Int, of block: inout DoubleMatrix, with value: Double) {
    let (rows, columns) = (block.rows, block.columns)
    precondition(column < columns, "no column \(column) among \(columns)")
    block.elements.withUnsafeMutableBufferPointer { elements in
      for row in 0..<rows { elements[row * columns + column] = value }
    }
  }

  /// Puts the squares and products of each row's first `count` elements, xᵢ·xⱼ with j ≤ i, into the columns from `start` on.
  package static func fillProducts(ofFirst count: Int, in block: inout DoubleMatrix, from start: Int) {
    let (rows, columns) = (block.rows, block.columns)
    precondition(count <= start && start + count * (count + 1) / 2 <= columns, "no room for the products")
    block.elements.withUnsafeMutableBufferPointer { elements in
      for row in 0..<rows {
        let first = row * columns
        var next = first + start
        for i in 0..<count {
          for j in 0...i {
            elements[next] = elements[first + i] * elements[first + j]
            next += 1
          }
        }
      }
    }
  }

  /// Subtracts a vector from each row.
  package static func subtract(_ vector: [Double], from block: inout DoubleMatrix) {
    let (rows, columns) = (block.rows, block.columns)
    precondition(vector.count == columns, "\(vector.count) numbers for \(columns) columns")
    block.elements.withUnsafeMutableBufferPointer { elements in
      for row in 0..<rows {
        for column in 0..<columns { elements[row * columns + column] -= vector[column] }
      }
    }
  }

  /// Multiplies each row by its factor.
  package static func scale(_ block: inout DoubleMatrix, by factors: [Double]) {
    let (rows, columns) = (block.rows, block.columns)
    precondition(factors.count >= rows, "\(factors.count) factors for \(rows) rows")
    block.elements.withUnsafeMutableBufferPointer { elements in
      for row in 0..<rows {
        let factor = factors[row]
        for i in row * columns..<(row + 1) * columns { elements[i] *= factor }
      }
    }
  }
}
