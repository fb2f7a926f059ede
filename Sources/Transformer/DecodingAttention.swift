import AlignmentCore
import Kernels

/// Attention of the newest token of each of several samples to its prompt and to the sample's own tokens.
///
/// The queries of all samples of a prompt, and of all heads that share a key-value head, meet the prompt's keys and values
/// in one product. A row of scores begins with whole blocks of the sample's own tokens; whole blocks of the prompt follow.
struct DecodingAttention {
  private let cache: DecodingCache
  private let configuration: ModelConfiguration
  private let scale: Float
  /// D padded to whole vectors.
  private let width: Int
  /// (rows·group, padded D) each, where a group is the query heads that share a key-value head
  private let queries: FloatBuffer
  private let results: FloatBuffer
  /// (rows·group, positions)
  private let scores: FloatBuffer

  /// - Parameters:
  ///   - sequences: rows of a step at most.
  ///   - positions: of the longest sequence.
  init(_ c: ModelConfiguration, cache: DecodingCache, sequences: Int, positions: Int) throws {
    self.cache = cache
    configuration = c
    scale = 1 / Float(c.headDimension).squareRoot()
    width = BlockedHead.padded(c.headDimension)
    let rows = sequences * (c.headCount / c.keyValueHeadCount)
    queries = try FloatBuffer(count: rows * width, purpose: "queries of a head")
    results = try FloatBuffer(count: rows * width, purpose: "results of a head")
    scores = try FloatBuffer(
      count: rows * (BlockedHead.padded(positions) + BlockedHead.positions), purpose: "attention scores")
  }

  /// Adds the newest token of every row to the cache and attends from it.
  ///
  /// - Parameters:
  ///   - positions: (rows) of the newest tokens.
  ///   - projections: (rows, (heads + 2·kvHeads)·D) after rotation.
  ///   - output: (rows, heads·D)
  func forward(layer: Int, positions: [Int32], projections: Matrix, into output: Matrix, window: Int) {
    let own = Int(positions[0]) - cache.length(ofPrompt: cache.promptOfRow[0])
    cache.append(layer: layer, from: projections, at: own)
    let longest = cache.promptOfRow.reduce(0) { max($0, cache.length(ofPrompt: $1)) }
    let step = Step(layer: layer, ownCount: own + 1, longestPrompt: longest, window: window)
    for head in 0..<configuration.keyValueHeadCount {
      gather(head, projections)
      score(head, step)
      mix(head, step)
      scatter(head, into: output)
    }
  }

  /// What all rows of a step share.
  private struct Step {
    let layer: Int
    /// Own tokens of every sample, the newest included.
    let ownCount: Int
    let window: Int
    let ownBlocks: Int
    /// Places of a row of scores.
    let scoreWidth: Int

    init(layer: Int, ownCount: Int, longestPrompt: Int, window: Int) {
      self.layer = layer
      self.ownCount = ownCount
      self.window = window
      ownBlocks = DecodingCache.blocks(of: ownCount)
      scoreWidth = (ownBlocks + DecodingCache.blocks(of: longestPrompt)) * BlockedHead.positions
    }

    /// Places of a row of scores that stand for own blocks.
    var ownWidth: Int { ownBlocks * BlockedHead.positions }

    /// The first position that the newest token behind a prompt sees.
    func firstVisible(promptLength: Int) -> Int {
      max(0, promptLength + ownCount - min(window, promptLength + ownCount))
    }
  }

  private var rowCount: Int { cache.slots.count * group }

  /// Query heads that share a key-value head.
  private var group: Int { configuration.headCount / configuration.keyValueHeadCount }

  private var queryMatrix: Matrix { Matrix(queries.view, rows: rowCount, columns: width) }
  private var resultMatrix: Matrix { Matrix(results.view, rows: rowCount, columns: width) }

  private func scoreMatrix(_ step: Step) -> Matrix {
    Matrix(scores.view, rows: rowCount, columns: step.scoreWidth)
  }
}

// MARK: - Stages

extension DecodingAttention {
  private func gather(_ head: Int, _ projections: Matrix) {
    let d = configuration.headDimension
    for sample in 0..<cache.slots.count {
      for member in 0..<group {
        let source = projections.row(sample) + (head * group + member) * d
        let target = queries.view.base + (sample * group + member) * width
        Elementwise.scale(FloatView(base: source, count: d), by: scale, into: FloatView(base: target, count: d))
      }
    }
  }

  private func scatter(_ head: Int, into output: Matrix) {
    let d = configuration.headDimension
    for sample in 0..<cache.slots.count {
      for member in 0..<group {
        let source = Matrix(results.view.base + (sample * group + member) * width, rows: 1, columns: d)
        let target = output.row(sample) + (head * group + member) * d
        Elementwise.copy(source, into: Matrix(target, rows: 1, columns: d))
      }
    }
  }

  /// Fills the rows of scores and turns them into weights; places that are not seen get next to nothing.
  private func score(_ head: Int, _ step: Step) {
    let scores = scoreMatrix(step)
    for block in 0..<step.ownBlocks {
      BlockedHead.scoreEach(
        queryMatrix, group: group, cache.ownBlocks(block, layer: step.layer, head: head).keys, slots: cache.slots,
        dimension: configuration.headDimension, into: scores.columns(columns(ofBlock: block)))
    }
    forEachPrompt { prompt, rows in
      let length = cache.length(ofPrompt: prompt)
      let blocks = DecodingCache.blocks(of: length)
      let promptScores = scores.rows(rows).columns(step.ownWidth..<step.scoreWidth)
      BlockedHead.score(
        queryMatrix.rows(rows), cache.promptBlocks(prompt, layer: step.layer, head: head).keys, blocks: blocks,
        dimension: configuration.headDimension, into: promptScores)
      let first = step.firstVisible(promptLength: length)
      let valid = step.ownWidth + blocks * BlockedHead.positions
      for row in rows {
        let line = scores.row(row)
        hide(line, max(0, first - length)..<step.ownCount, of: step.ownWidth)
        hide(line + step.ownWidth, min(first, length)..<length, of: valid - step.ownWidth)
        _ = Softmax.normalize(line, valid: 0..<valid, width: valid)
      }
    }
  }

  private func mix(_ head: Int, _ step: Step) {
    let scores = scoreMatrix(step)
    forEachPrompt { prompt, rows in
      let length = cache.length(ofPrompt: prompt)
      let values = cache.promptBlocks(prompt, layer: step.layer, head: head).values
      NarrowProduct.multiply(
        scores.rows(rows).columns(step.ownWidth..<step.ownWidth + length),
        Matrix(values, rows: length, columns: width), into: resultMatrix.rows(rows), adding: false)
    }
    for block in 0..<step.ownBlocks {
      let seen = columns(ofBlock: block).clamped(to: 0..<step.ownCount)
      BlockedHead.mixEach(
        scores.columns(seen), group: group, cache.ownBlocks(block, layer: step.layer, head: head).values,
        slots: cache.slots, into: resultMatrix)
    }
  }

  private func columns(ofBlock block: Int) -> Range<Int> {
    block * BlockedHead.positions..<(block + 1) * BlockedHead.positions
  }

  /// Masks all of so many scores but the visible ones.
  private func hide(_ scores: UnsafeMutablePointer<Float>, _ visible: Range<Int>, of count: Int) {
    for place in 0..<visible.lowerBound { scores[place] = -.infinity }
    for place in visible.upperBound..<count { scores[place] = -.infinity }
  }

  /// Calls `body` for each prompt with the rows of its samples, which follow each other.
  @inline(__always)
  private func forEachPrompt(_ body: (_ prompt: Int, _ rows: Range<Int>) -> Void) {
    var first = 0
    while first < cache.promptOfRow.count {
      let prompt = cache.promptOfRow[first]
      var end = first
      while end < cache.promptOfRow.count, cache.promptOfRow[end] == prompt { end += 1 }
      body(prompt, first * group..<end * group)
      first = end
    }
  }
}
