import AlignmentCore
import CSIMD

/// Keys and values of one head in blocks of sixteen positions, laid out so that decoding reads memory in order.
///
/// A block of keys is (D, 16), so that sixteen scores of a query are one vector; a block of values is (16, padded D).
/// Every score and every result is one chain of fused additions: the bits of a row do not depend on how many rows are
/// computed together.
package enum BlockedHead {
  /// Positions of a block.
  package static let positions = Vector.lanes

  /// Floats of a block of keys, and of values.
  package static func keyFloats(_ dimension: Int) -> Int { dimension * positions }
  package static func valueFloats(_ dimension: Int) -> Int { padded(dimension) * positions }

  /// Rounded up to whole vectors, as values and queries are.
  package static func padded(_ count: Int) -> Int { (count + Vector.lanes - 1) / Vector.lanes * Vector.lanes }

  /// Takes the key and the value (D each) of a position into the block that holds it.
  package static func store(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, dimension: Int, keys: UnsafeMutablePointer<Float>,
    values: UnsafeMutablePointer<Float>, at position: Int
  ) {
    for i in 0..<dimension { keys[i * positions + position] = key[i] }
    let width = padded(dimension)
    let row = values + position * width
    for i in 0..<width { row[i] = i < dimension ? value[i] : 0 }
  }

  /// scores (rows, 16 · blocks) ← Q Kᵀ for keys that all rows share.
  ///
  /// - Parameters:
  ///   - queries: (rows, padded D)
  ///   - keys: blocks, one behind the other.
  package static func score(
    _ queries: Matrix, _ keys: UnsafePointer<Float>, blocks: Int, dimension: Int, into scores: Matrix
  ) {
    let size = keyFloats(dimension)
    var row = 0
    while row < queries.rows {
      let rows = queries.rows - row >= 4 ? 4 : 1
      var block = 0
      while block < blocks {
        let source = keys + block * size
        let target = scores.row(row) + block * positions
        if rows == 4, block + 2 <= blocks {
          scoreFourByTwo(queries.row(row), queries.stride, source, dimension, target, scores.stride)
          block += 2
        } else {
          for r in 0..<rows { scoreOne(queries.row(row + r), source, dimension, target + r * scores.stride) }
          block += 1
        }
      }
      row += rows
    }
  }

  /// The same for one block of each of several samples, whose queries are `group` rows each.
  ///
  /// - Parameters:
  ///   - keys: the block of every slot, one behind the other.
  ///   - slots: the slot of each sample.
  ///   - scores: (rows, 16)
  package static func scoreEach(
    _ queries: Matrix, group: Int, _ keys: UnsafePointer<Float>, slots: [Int32], dimension: Int, into scores: Matrix
  ) {
    let size = keyFloats(dimension)
    for (sample, slot) in slots.enumerated() {
      for row in sample * group..<(sample + 1) * group {
        scoreOne(queries.row(row), keys + Int(slot) * size, dimension, scores.row(row))
      }
    }
  }

  /// results (rows, padded D) += P V for one block of each of several samples.
  ///
  /// - Parameters:
  ///   - weights: (rows, up to 16 positions)
  ///   - values: the block of every slot, one behind the other.
  package static func mixEach(
    _ weights: Matrix, group: Int, _ values: UnsafePointer<Float>, slots: [Int32], into results: Matrix
  ) {
    let size = results.columns * positions
    for (sample, slot) in slots.enumerated() {
      for row in sample * group..<(sample + 1) * group {
        mix(weights.row(row), weights.columns, values + Int(slot) * size, results.row(row), results.columns)
      }
    }
  }
}

extension BlockedHead {
  @inline(__always)
  private static func scoreFourByTwo(
    _ queries: UnsafePointer<Float>, _ stride: Int, _ keys: UnsafePointer<Float>, _ dimension: Int,
    _ scores: UnsafeMutablePointer<Float>, _ scoreStride: Int
  ) {
    var (s0, s1, s2, s3) = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)
    var (t0, t1, t2, t3) = (Vector.zero, Vector.zero, Vector.zero, Vector.zero)
    let (q1, q2, q3) = (queries + stride, queries + 2 * stride, queries + 3 * stride)
    let second = keys + dimension * positions
    for i in 0..<dimension {
      let (k, l) = (Vector(at: keys + i * positions), Vector(at: second + i * positions))
      let (x0, x1) = (Vector(repeating: queries[i]), Vector(repeating: q1[i]))
      let (x2, x3) = (Vector(repeating: q2[i]), Vector(repeating: q3[i]))
      (s0, t0) = (simd_fma(x0, k, s0), simd_fma(x0, l, t0))
      (s1, t1) = (simd_fma(x1, k, s1), simd_fma(x1, l, t1))
      (s2, t2) = (simd_fma(x2, k, s2), simd_fma(x2, l, t2))
      (s3, t3) = (simd_fma(x3, k, s3), simd_fma(x3, l, t3))
    }
    put(s0, t0, scores)
    put(s1, t1, scores + scoreStride)
    put(s2, t2, scores + 2 * scoreStride)
    put(s3, t3, scores + 3 * scoreStride)
  }

  @inline(__always)
  private static func scoreOne(
    _ query: UnsafePointer<Float>, _ keys: UnsafePointer<Float>, _ dimension: Int,
    _ scores: UnsafeMutablePointer<Float>
  ) {
    var sum = Vector.zero
    for i in 0..<dimension { sum = simd_fma(Vector(repeating: query[i]), Vector(at: keys + i * positions), sum) }
    sum.store(at: scores)
  }

  /// A row of results, two vectors at a time.
  @inline(__always)
  private static func mix(
    _ weights: UnsafePointer<Float>, _ count: Int, _ values: UnsafePointer<Float>,
    _ result: UnsafeMutablePointer<Float>, _ width: Int
  ) {
    var column = 0
    while column + 2 * Vector.lanes <= width {
      let (first, second) = (result + column, result + column + Vector.lanes)
      var (s, t) = (Vector(at: first), Vector(at: second))
      for k in 0..<count {
        let (x, source) = (Vector(repeating: weights[k]), values + k * width + column)
        (s, t) = (simd_fma(x, Vector(at: source), s), simd_fma(x, Vector(at: source + Vector.lanes), t))
      }
      put(s, t, first)
      column += 2 * Vector.lanes
    }
    if column < width {
      var s = Vector(at: result + column)
      for k in 0..<count { s = simd_fma(Vector(repeating: weights[k]), Vector(at: values + k * width + column), s) }
      s.store(at: result + column)
    }
  }

  @inline(__always)
  private static func put(_ a: Vector, _ b: Vector, _ target: UnsafeMutablePointer<Float>) {
    a.store(at: target)
    b.store(at: target + Vector.lanes)
  }
}
