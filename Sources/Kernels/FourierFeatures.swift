import CSIMD

/// Random Fourier features √(2/D)·cos(Ωx + b) of blocks of rows, whose products are close to a shift-invariant kernel (Rahimi and
/// Recht 2007, "Random features for large-scale kernel machines", algorithm 1).
package enum FourierFeatures {
  /// - Parameters:
  ///   - x: (n, d)
  ///   - frequencies: (D, d), Ω.
  ///   - phases: (D), b.
  ///   - features: (n, D)
  package static func evaluate(
    _ x: DoubleMatrix, frequencies: DoubleMatrix, phases: [Double], into features: inout DoubleMatrix
  ) {
    DoubleProduct.multiply(x, transposed: frequencies, into: &features)
    let (rows, columns) = (features.rows, features.columns)
    precondition(phases.count == columns, "\(phases.count) phases for \(columns) features")
    let scale = DoubleVector(repeating: (2 / Double(columns)).squareRoot())
    features.elements.withUnsafeMutableBufferPointer { features in
      phases.withUnsafeBufferPointer { phases in
        guard let base = features.baseAddress, let phase = phases.baseAddress else { return }
        for row in 0..<rows {
          let values = base + row * columns
          forEachDoubleVector(in: columns) { i, lanes in
            let angle = load(UnsafePointer(values) + i, lanes) + load(phase + i, lanes)
            store(scale * cosine(angle), values + i, lanes)
          }
        }
      }
    }
  }
}
