import AlignmentCore
import CSIMD

/// The loops of an Adafactor update of one matrix (Shazeer and Stern 2018, arXiv 1804.04235, algorithm 4).
///
/// The second moment of G (R, C) is kept as the averages of its rows and columns. A vector is a matrix of one row: the
/// average of its columns is then the second moment of its elements and the row's factor is 1, which makes it algorithm 5.
package enum AdafactorKernel {
  /// Lanes that the sums of columns are padded to.
  package static let padding = 16

  /// The sums of squares of the rows and columns of s·G, in Float64 and in a fixed order.
  ///
  /// - Parameters:
  ///   - rows: receives R sums.
  ///   - columns: receives C sums; has room for C rounded up to ``padding``.
  package static func sumSquares(
    of gradients: Matrix, scale: Float, rows: UnsafeMutableBufferPointer<Double>,
    columns: UnsafeMutableBufferPointer<Double>
  ) {
    guard let rows = rows.baseAddress, let columns = columns.baseAddress else { return }
    columns.update(repeating: 0, count: gradients.columns)
    for r in 0..<gradients.rows {
      let row = gradients.row(r)
      var low = SIMD8<Double>.zero
      var high = SIMD8<Double>.zero
      forEachVector(in: gradients.columns) { i, lanes in
        let value = load(row + i, lanes) * scale
        let (a, b) = (simd_float_to_double(value.lowHalf), simd_float_to_double(value.highHalf))
        low = simd_fma_double(a, a, low)
        high = simd_fma_double(b, b, high)
        simd_fma_double(a, a, SIMD8(at: columns + i)).store(at: columns + i)
        simd_fma_double(b, b, SIMD8(at: columns + i + 8)).store(at: columns + i + 8)
      }
      rows[r] = (low + high).sum()
    }
  }

  /// moments ← β·moments + (1 − β)·(sums / terms + ε), in Float64.
  ///
  /// - Returns: the sum of the new moments.
  package static func average(
    _ sums: UnsafeMutableBufferPointer<Double>, terms: Int, epsilon: Double, decay beta: Double,
    into moments: FloatView
  ) -> Double {
    precondition(sums.count >= moments.count, "\(sums.count) sums for \(moments.count) moments")
    let (share, floor) = ((1 - beta) / Double(terms), (1 - beta) * epsilon)
    var total = 0.0
    for i in 0..<moments.count {
      let moment = Float(beta * Double(moments.base[i]) + (share * sums[i] + floor))
      moments.base[i] = moment
      total += Double(moment)
    }
    return total
  }

  /// factors ← √(numerator / moments), each root taken by itself so that no quotient overflows.
  package static func inverseRoots(of moments: FloatView, numerator: Float, into factors: FloatView) {
    let root = Vector(repeating: numerator.squareRoot())
    forEachVector(in: moments.count) { i, lanes in
      store(root / simd_sqrt(load(moments.base + i, lanes, fill: 1)), factors.base + i, lanes)
    }
  }

  /// The factors of rows (R) and columns (C) that turn a gradient into an update.
  package struct Factors {
    let rows: UnsafePointer<Float>
    let columns: UnsafePointer<Float>
    let columnCount: Int
    /// Factor on the gradient: gradient clipping.
    let gradientScale: Float

    package init(rows: FloatView, columns: FloatView, gradientScale: Float) {
      self.rows = UnsafePointer(rows.base)
      self.columns = UnsafePointer(columns.base)
      columnCount = columns.count
      self.gradientScale = gradientScale
    }

    /// One vector of updates.
    @inline(__always)
    fileprivate func update(_ gradients: UnsafePointer<Float>, _ row: Float, column: Int, _ lanes: Int) -> Vector {
      load(gradients, lanes) * gradientScale * load(columns + column, lanes) * row
    }
  }

  /// The sum of squares of the update of a whole matrix, in Float64 and in a fixed order.
  package static func sumSquaresOfUpdate(_ gradients: Matrix, _ factors: Factors) -> Double {
    var low = SIMD8<Double>.zero
    var high = SIMD8<Double>.zero
    for r in 0..<gradients.rows {
      let (row, factor) = (gradients.row(r), factors.rows[r])
      forEachVector(in: gradients.columns) { i, lanes in
        let update = factors.update(row + i, factor, column: i, lanes)
        let (a, b) = (simd_float_to_double(update.lowHalf), simd_float_to_double(update.highHalf))
        low = simd_fma_double(a, a, low)
        high = simd_fma_double(b, b, high)
      }
    }
    return (low + high).sum()
  }

  /// What turns updates into new parameters.
  package struct Step {
    /// Factor on the update: the learning rate, divided by what the update is clipped by.
    package var updateScale: Float
    /// Factor on the parameter: 1 − learning rate · weight decay.
    package var shrinkage: Float
    /// Share of the first moment that is kept.
    package var beta1: Double

    package init(updateScale: Float, shrinkage: Float, beta1: Double) {
      self.updateScale = updateScale
      self.shrinkage = shrinkage
      self.beta1 = beta1
    }
  }

  /// Updates some elements of a matrix, which may begin and end within rows.
  ///
  /// - Parameters:
  ///   - parameters: the elements, as gradients and first moment are.
  ///   - first: the flat index of the first element in the matrix.
  ///   - firstMoment: average of the updates; nil applies the updates themselves.
  package static func apply(
    to parameters: FloatView, gradients: FloatView, firstMoment: FloatView?, startingAt first: Int, _ factors: Factors,
    _ step: Step
  ) {
    let (scale, shrinkage) = (Vector(repeating: step.updateScale), Vector(repeating: step.shrinkage))
    let (beta, rest) = (Vector(repeating: Float(step.beta1)), Vector(repeating: Float(1 - step.beta1)))
    var done = 0
    while done < parameters.count {
      let (row, column) = ((first + done) / factors.columnCount, (first + done) % factors.columnCount)
      let (factor, start) = (factors.rows[row], done)
      let count = min(factors.columnCount - column, parameters.count - done)
      forEachVector(in: count) { i, lanes in
        var update = factors.update(gradients.base + start + i, factor, column: column + i, lanes) * scale
        if let firstMoment {
          update = simd_fma(load(firstMoment.base + start + i, lanes), beta, update * rest)
          store(update, firstMoment.base + start + i, lanes)
        }
        let p = simd_fma(load(parameters.base + start + i, lanes), shrinkage, -update)
        store(p, parameters.base + start + i, lanes)
      }
      done += count
    }
  }
}
