import AlignmentCore
import CSIMD

#if canImport(Glibc)
  import Glibc
#endif

/// Row-wise softmax and log-softmax, forward and backward, with max subtraction.
package enum Softmax {
  /// Replaces the columns `valid` of a row of scores by their softmax and every other column below `width` by 0.
  ///
  /// - Returns: the logarithm of the sum of the exponentials of the valid scores.
  package static func normalize(_ row: UnsafeMutablePointer<Float>, valid: Range<Int>, width: Int) -> Float {
    let scores = row + valid.lowerBound
    let largest = maximum(scores, valid.count)
    var sums = Vector.zero
    forEachVector(in: valid.count) { i, lanes in
      let value = exponential(load(scores + i, lanes, fill: -.infinity) - largest)
      store(value, scores + i, lanes)
      sums += lanes == Vector.lanes ? value : load(scores + i, lanes)
    }
    let total = simd_sum(sums)
    let scale = Vector(repeating: 1 / total)
    forEachVector(in: valid.count) { i, lanes in store(load(scores + i, lanes) * scale, scores + i, lanes) }
    clearOutside(row, valid, width)
    return largest + logf(total)
  }

  /// Replaces the valid scores by exp(score − `logSum`), that is by the softmax that ``normalize`` gave.
  package static func restore(
    _ row: UnsafeMutablePointer<Float>, valid: Range<Int>, width: Int, logSum: Float
  ) {
    let scores = row + valid.lowerBound
    forEachVector(in: valid.count) { i, lanes in
      store(exponential(load(scores + i, lanes) - logSum), scores + i, lanes)
    }
    clearOutside(row, valid, width)
  }

  /// dScores = p∘(dp − `mean`)·`scale`, in place of dp, where `mean` is ⟨p, dp⟩.
  package static func backward(
    _ dp: UnsafeMutablePointer<Float>, probabilities p: UnsafePointer<Float>, mean: Float, scale: Float, width: Int
  ) {
    forEachVector(in: width) { i, lanes in
      store(load(p + i, lanes) * (load(dp + i, lanes) - mean) * scale, dp + i, lanes)
    }
  }

  /// ⟨a, b⟩ in sixteen lanes.
  package static func dot(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, count: Int) -> Float {
    var sums = Vector.zero
    forEachVector(in: count) { i, lanes in sums = simd_fma(load(a + i, lanes), load(b + i, lanes), sums) }
    return simd_sum(sums)
  }

  @inline(__always)
  static func maximum(_ x: UnsafePointer<Float>, _ count: Int) -> Float {
    var largest = Vector(repeating: -.infinity)
    forEachVector(in: count) { i, lanes in largest = simd_max(largest, load(x + i, lanes, fill: -.infinity)) }
    return simd_max_lane(largest)
  }

  @inline(__always)
  private static func clearOutside(_ row: UnsafeMutablePointer<Float>, _ valid: Range<Int>, _ width: Int) {
    memset(row, 0, valid.lowerBound * MemoryLayout<Float>.stride)
    memset(row + valid.upperBound, 0, (width - valid.upperBound) * MemoryLayout<Float>.stride)
  }
}

/// Log-softmax over a vocabulary that arrives in panels of columns, so that a panel is still in cache when it is used.
package enum VocabularySoftmax {
  /// Takes one more panel of logits into the running maximum and sums of every row.
  ///
  /// - Parameters:
  ///   - panel: (R, panel columns)
  ///   - largest: (R), running maximum; −∞ before the first panel.
  ///   - sums: (R), Σ exp(logit − largest) so far; 0 before the first panel.
  ///   - squares: (R), the same of exp(logit − largest)²; nil where nobody asks for it.
  package static func accumulate(
    _ panel: Matrix, largest: UnsafeMutablePointer<Float>, sums: UnsafeMutablePointer<Double>,
    squares: UnsafeMutablePointer<Double>? = nil
  ) {
    for r in 0..<panel.rows {
      let row = panel.row(r)
      let newLargest = max(largest[r], Softmax.maximum(row, panel.columns))
      let rescaling = sums[r] > 0 ? exp(Double(largest[r] - newLargest)) : 1
      // The same loop twice, so that one of them does no more than it must.
      let added =
        squares == nil
        ? exponentials(row, panel.columns, largest: newLargest, squaring: false)
        : exponentials(row, panel.columns, largest: newLargest, squaring: true)
      sums[r] = sums[r] * rescaling + Double(added.sum)
      if let squares { squares[r] = squares[r] * (rescaling * rescaling) + Double(added.squares) }
      largest[r] = newLargest
    }
  }

  /// Σ exp(logit − largest) and, if asked, Σ exp(logit − largest)².
  @inline(__always)
  private static func exponentials(
    _ row: UnsafePointer<Float>, _ count: Int, largest: Float, squaring: Bool
  ) -> (sum: Float, squares: Float) {
    var (sums, squares) = (Vector.zero, Vector.zero)
    forEachVector(in: count) { i, lanes in
      let value = exponential(load(row + i, lanes) - largest)
      let valid = lanes == Vector.lanes ? value : Vector.keepFirst(lanes, of: value)
      sums += valid
      if squaring { squares = simd_fma(valid, valid, squares) }
    }
    return (simd_sum(sums), simd_sum(squares))
  }

  /// Adds what a panel of logits contributes to the entropy −Σ p log p of every row, in nats.
  ///
  /// - Parameters:
  ///   - panel: (R, panel columns)
  ///   - logSums: (R), log Σ exp(logit) over the whole vocabulary.
  ///   - entropies: (R), added to.
  package static func addEntropies(
    _ panel: Matrix, logSums: UnsafePointer<Float>, to entropies: UnsafeMutablePointer<Double>
  ) {
    for r in 0..<panel.rows {
      let (row, logSum) = (panel.row(r), logSums[r])
      var panelSums = Vector.zero
      forEachVector(in: panel.columns) { i, lanes in
        let logProbability = load(row + i, lanes) - logSum
        let term = exponential(logProbability) * -logProbability
        panelSums += lanes == Vector.lanes ? term : Vector.keepFirst(lanes, of: term)
      }
      entropies[r] += Double(simd_sum(panelSums))
    }
  }

  /// Replaces a panel of logits by d · (1[target] − softmax), the gradient of d · log p(target).
  ///
  /// - Parameters:
  ///   - firstColumn: the vocabulary entry of the panel's column 0.
  ///   - targets: (R)
  ///   - logSums: (R), log Σ exp(logit).
  ///   - derivatives: (R), d of each row.
  package static func backward(
    _ panel: Matrix, firstColumn: Int, targets: UnsafePointer<Int32>, logSums: UnsafePointer<Float>,
    derivatives: UnsafePointer<Float>
  ) {
    for r in 0..<panel.rows {
      let row = panel.row(r)
      let (logSum, factor) = (logSums[r], -derivatives[r])
      forEachVector(in: panel.columns) { i, lanes in
        store(exponential(load(row + i, lanes) - logSum) * factor, row + i, lanes)
      }
      let target = Int(targets[r]) - firstColumn
      if target >= 0 && target < panel.columns { row[target] += derivatives[r] }
    }
  }
}

extension Vector {
  /// The first lanes, the others 0.
  @inline(__always) static func keepFirst(_ count: Int, of value: Vector) -> Vector {
    var kept = Vector.zero
    for lane in 0..<count { kept[lane] = value[lane] }
    return kept
  }
}
