import CSIMD

#if canImport(Glibc)
  import Glibc
#endif

/// Gaussian kernels exp(−rate·‖x − c‖²) of blocks of rows and a set of centers, in Float64.
package enum GaussianKernel {
  /// distances ← ‖x − c‖² = ‖x‖² − 2⟨x, c⟩ + ‖c‖², at least 0.
  ///
  /// - Parameters:
  ///   - x: (n, d)
  ///   - centers: (L, d)
  ///   - norms: (L), ‖c‖²; see ``squaredNorms(_:)``.
  ///   - distances: (n, L)
  package static func squaredDistances(
    _ x: DoubleMatrix, _ centers: DoubleMatrix, norms: [Double], into distances: inout DoubleMatrix
  ) {
    DoubleProduct.multiply(x, transposed: centers, into: &distances)
    let (rows, columns, width) = (x.rows, centers.rows, x.columns)
    precondition(norms.count == columns, "\(norms.count) norms of \(columns) centers")
    x.elements.withUnsafeBufferPointer { x in
      distances.elements.withUnsafeMutableBufferPointer { distances in
        for row in 0..<rows {
          var norm = 0.0
          for i in row * width..<(row + 1) * width { norm += x[i] * x[i] }
          for column in 0..<columns {
            let i = row * columns + column
            distances[i] = max(0, norm - 2 * distances[i] + norms[column])
          }
        }
      }
    }
  }

  /// ‖x‖² of each row.
  package static func squaredNorms(_ x: DoubleMatrix) -> [Double] {
    (0..<x.rows).map { row in (0..<x.columns).reduce(0) { $0 + x[row, $1] * x[row, $1] } }
  }

  /// values ← exp(−rate·distance)
  package static func evaluate(_ distances: DoubleMatrix, rate: Double, into values: inout DoubleMatrix) {
    let count = distances.rows * distances.columns
    precondition(values.elements.count >= count, "shapes do not fit")
    distances.elements.withUnsafeBufferPointer { distances in
      values.elements.withUnsafeMutableBufferPointer { values in
        guard let source = distances.baseAddress, let target = values.baseAddress else { return }
        let factor = DoubleVector(repeating: -rate)
        forEachDoubleVector(in: count) { i, lanes in
          store(exponential(load(source + i, lanes) * factor), target + i, lanes)
        }
      }
    }
  }

  /// log Σ_l exp(offset_l − rate·distance_l) of each row, appended to `sums`. No row underflows: a row far from all centers has
  /// a large negative sum.
  ///
  /// - Parameters:
  ///   - offsets: (L), −∞ leaves a center out; one at least is finite.
  package static func appendLogSums(
    of distances: DoubleMatrix, rate: Double, offsets: [Double], to sums: inout [Double]
  ) {
    precondition(offsets.count == distances.columns, "\(offsets.count) offsets of \(distances.columns) centers")
    let rows = distances.rows
    distances.elements.withUnsafeBufferPointer { distances in
      offsets.withUnsafeBufferPointer { offsets in
        guard let base = distances.baseAddress, let offset = offsets.baseAddress else { return }
        for row in 0..<rows { sums.append(logSum(base + row * offsets.count, -rate, offset, offsets.count)) }
      }
    }
  }

  @inline(__always)
  private static func logSum(
    _ distances: UnsafePointer<Double>, _ rate: Double, _ offsets: UnsafePointer<Double>, _ count: Int
  ) -> Double {
    let factor = DoubleVector(repeating: rate)
    var largest = DoubleVector(repeating: -.infinity)
    forEachDoubleVector(in: count) { i, lanes in
      let exponent = simd_fma_double(load(distances + i, lanes), factor, load(offsets + i, lanes, fill: -.infinity))
      largest = simd_max_double(largest, exponent)
    }
    let shift = simd_max_lane_double(largest)
    var sums = DoubleVector.zero
    forEachDoubleVector(in: count) { i, lanes in
      let exponent = simd_fma_double(load(distances + i, lanes), factor, load(offsets + i, lanes, fill: -.infinity))
      sums += exponential(exponent - shift)
    }
    return shift + log(sums.sum())
  }
}
