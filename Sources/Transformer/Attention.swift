import AlignmentCore
import Kernels

/// Causal attention of prompt groups: a completion sees the shared prompt and itself, a prompt sees itself.
///
/// Scores exist for one head and one block of query rows at a time, small enough to stay in cache; the backward pass
/// computes them again from the stored logarithms of the softmax denominators (as in Dao et al. 2022, arXiv 2205.14135,
/// algorithm 4).
///
/// Column c of a block of scores is the key at position c of the sequence: first the prompt's keys, then the segment's
/// own. So the query at position t sees the columns `max(0, t + 1 − window) ... t`.
struct Attention {
  /// Query rows that are scored together.
  static let blockRows = 128

  /// Queries that lie in one run and see the same context: a prompt, or a completion behind its prompt.
  struct Segment {
    /// Tokens of the unit that hold the context's keys (the prompt; empty for a prompt itself).
    var context: Range<Int>
    /// The segment's own tokens.
    var own: Range<Int>
  }

  let headCount: Int
  let keyValueHeadCount: Int
  let headDimension: Int
  let scale: Float

  init(_ c: ModelConfiguration) {
    headCount = c.headCount
    keyValueHeadCount = c.keyValueHeadCount
    headDimension = c.headDimension
    scale = 1 / Float(c.headDimension).squareRoot()
  }

  /// Floats of scratch that ``forward`` needs; ``backward`` needs twice as many.
  static func scratchCount(longestSequence: Int) -> Int { blockRows * longestSequence }

  /// - Parameters:
  ///   - projections: (T, (heads + 2·kvHeads)·D) queries, keys and values after rotation.
  ///   - output: (T, heads·D)
  ///   - logSums: (heads, T)
  ///   - window: how many positions a query sees at most.
  func forward(
    _ unit: WorkUnit, projections: Matrix, into output: Matrix, logSums: FloatView, window: Int, scratch: FloatView
  ) {
    for head in 0..<headCount {
      let view = HeadView(self, head, projections)
      let outputs = output.columns(view.queryColumns)
      Self.forEachSegment(of: unit) { segment in
        Self.forEachBlock(of: segment) { block in
          let scores = block.scores(scratch)
          score(block, view, into: scores)
          for row in 0..<block.rows.count {
            logSums.base[head * unit.tokens.count + block.rows.lowerBound + row] = Softmax.normalize(
              scores.row(row), valid: block.visible(row, window), width: scores.columns)
          }
          let result = outputs.rows(block.rows)
          NarrowProduct.multiply(
            block.contextPart(scores), view.values.rows(block.context), into: result, adding: false)
          NarrowProduct.multiply(block.ownPart(scores), view.values.rows(block.own), into: result, adding: true)
        }
      }
    }
  }

  /// - Parameters:
  ///   - dOutput: (T, heads·D)
  ///   - dProjections: (T, (heads + 2·kvHeads)·D), overwritten.
  func backward(
    _ unit: WorkUnit, projections: Matrix, output: Matrix, logSums: FloatView, dOutput: Matrix, dProjections: Matrix,
    window: Int, scratch: FloatView
  ) {
    Elementwise.clear(FloatView(base: dProjections.base, count: dProjections.rows * dProjections.stride))
    let half = scratch.count / 2
    for head in 0..<headCount {
      let view = HeadView(self, head, projections)
      let gradient = HeadView(self, head, dProjections)
      let columns = view.queryColumns
      Self.forEachSegment(of: unit) { segment in
        Self.forEachBlock(of: segment) { block in
          let probabilities = block.scores(scratch[0..<half])
          let dScores = block.scores(scratch[half..<2 * half])
          score(block, view, into: probabilities)
          let upstream = dOutput.columns(columns).rows(block.rows)
          Product.multiply(upstream, view.values.rows(block.context).transposed, into: block.contextPart(dScores))
          Product.multiply(upstream, view.values.rows(block.own).transposed, into: block.ownPart(dScores))
          let results = output.columns(columns).rows(block.rows)
          for row in 0..<block.rows.count {
            let mean = Softmax.dot(upstream.row(row), results.row(row), count: headDimension)
            Softmax.restore(
              probabilities.row(row), valid: block.visible(row, window), width: probabilities.columns,
              logSum: logSums.base[head * unit.tokens.count + block.rows.lowerBound + row])
            Softmax.backward(
              dScores.row(row), probabilities: probabilities.row(row), mean: mean, scale: scale,
              width: dScores.columns)
          }
          accumulate(block, view, gradient, probabilities: probabilities, dScores: dScores, upstream: upstream)
        }
      }
    }
  }

  /// scores ← scale · Q Kᵀ
  private func score(_ block: Block, _ view: HeadView, into scores: Matrix) {
    let queries = view.queries.rows(block.rows)
    Product.multiply(
      queries, view.keys.rows(block.context).transposed, into: block.contextPart(scores), scale: scale)
    Product.multiply(queries, view.keys.rows(block.own).transposed, into: block.ownPart(scores), scale: scale)
  }

  private func accumulate(
    _ block: Block, _ view: HeadView, _ gradient: HeadView, probabilities: Matrix, dScores: Matrix, upstream: Matrix
  ) {
    accumulate(
      block.rows, block.context, view, gradient, block.contextPart(probabilities), block.contextPart(dScores), upstream)
    accumulate(block.rows, block.own, view, gradient, block.ownPart(probabilities), block.ownPart(dScores), upstream)
  }

  /// dQ += dS K, dK += dSᵀ Q and dV += Pᵀ dO for the keys and values of some tokens.
  private func accumulate(
    _ rows: Range<Int>, _ tokens: Range<Int>, _ view: HeadView, _ gradient: HeadView, _ p: Matrix, _ dScores: Matrix,
    _ upstream: Matrix
  ) {
    NarrowProduct.multiply(dScores, view.keys.rows(tokens), into: gradient.queries.rows(rows), adding: true)
    Product.multiply(dScores.transposed, view.queries.rows(rows), into: gradient.keys.rows(tokens), keeping: 1)
    Product.multiply(p.transposed, upstream, into: gradient.values.rows(tokens), keeping: 1)
  }
}

extension Attention {
  /// Queries, keys and values of one head as column ranges of the projections.
  private struct HeadView {
    let queryColumns: Range<Int>
    let queries: Matrix
    let keys: Matrix
    let values: Matrix

    init(_ attention: Attention, _ head: Int, _ projections: Matrix) {
      let d = attention.headDimension
      let shared = head / (attention.headCount / attention.keyValueHeadCount)
      let keyStart = (attention.headCount + shared) * d
      let valueStart = (attention.headCount + attention.keyValueHeadCount + shared) * d
      queryColumns = head * d..<(head + 1) * d
      queries = projections.columns(queryColumns)
      keys = projections.columns(keyStart..<keyStart + d)
      values = projections.columns(valueStart..<valueStart + d)
    }
  }

  /// Some query rows of a segment and the keys they may see.
  private struct Block {
    /// Tokens of the unit that ask.
    let rows: Range<Int>
    /// Tokens of the unit whose keys come first and second.
    let context: Range<Int>
    let own: Range<Int>

    /// (rows, context + own) at the start of the scratch memory.
    func scores(_ scratch: FloatView) -> Matrix {
      Matrix(scratch, rows: rows.count, columns: context.count + own.count)
    }

    func contextPart(_ scores: Matrix) -> Matrix { scores.columns(0..<context.count) }

    func ownPart(_ scores: Matrix) -> Matrix { scores.columns(context.count..<scores.columns) }

    /// The columns that a row of the block sees.
    func visible(_ row: Int, _ window: Int) -> Range<Int> {
      let position = context.count + rows.lowerBound - own.lowerBound + row
      return (window > position ? 0 : position + 1 - window)..<position + 1
    }
  }

  @inline(__always)
  private static func forEachSegment(of unit: WorkUnit, _ body: (Segment) -> Void) {
    for group in unit.groups {
      let prompt = group.firstToken..<group.firstToken + group.promptLength
      body(Segment(context: prompt.lowerBound..<prompt.lowerBound, own: prompt))
      for index in group.completions {
        let span = unit.completions[index]
        body(Segment(context: prompt, own: span.firstToken..<span.firstToken + span.inputCount))
      }
    }
  }

  @inline(__always)
  private static func forEachBlock(of segment: Segment, _ body: (Block) -> Void) {
    var start = segment.own.lowerBound
    while start < segment.own.upperBound {
      let end = min(start + blockRows, segment.own.upperBound)
      body(Block(rows: start..<end, context: segment.context, own: segment.own.lowerBound..<end))
      start = end
    }
  }
}
