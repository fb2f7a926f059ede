import AlignmentCore
import Kernels

/// The largest unit that a ``BatchDecoder`` will be given.
package struct DecodingCapacity: Sendable, Equatable {
  /// Samples that are decoded together.
  package var sequences: Int
  /// Tokens of the longest prompt.
  package var promptTokens: Int
  /// Tokens of the longest prompt with its completion.
  package var positions: Int
  /// Floats of the keys and values of a unit.
  package var cacheFloats: Int

  package init(sequences: Int, promptTokens: Int, positions: Int, cacheFloats: Int) {
    self.sequences = sequences
    self.promptTokens = promptTokens
    self.positions = positions
    self.cacheFloats = cacheFloats
  }

  /// Room for one unit and not a token more.
  ///
  /// - Parameters:
  ///   - samples: of all prompts together.
  ///   - newTokens: what ``newTokens(_:promptLengths:atMost:)`` gives.
  package init(_ c: ModelConfiguration, promptLengths: [Int], samples: Int, newTokens: Int) {
    let longest = promptLengths.max() ?? 0
    self.init(
      sequences: samples, promptTokens: longest, positions: min(longest + newTokens, c.contextLength),
      cacheFloats: Self.cacheFloats(c, promptLengths: promptLengths, samples: samples, newTokens: newTokens))
  }

  /// Tokens that a sample can get before it reaches a limit or the end of the context.
  package static func newTokens(_ c: ModelConfiguration, promptLengths: [Int], atMost limit: Int) -> Int {
    min(limit, c.contextLength - (promptLengths.min() ?? 0))
  }

  /// Floats of the keys and values of some prompts and of all their samples.
  package static func cacheFloats(
    _ c: ModelConfiguration, promptLengths: [Int], samples: Int, newTokens: Int
  ) -> Int {
    DecodingCache.floats(c, promptLengths: promptLengths, samples: samples, newTokens: newTokens)
  }

  /// Room for what either has room for.
  package func union(_ other: DecodingCapacity) -> DecodingCapacity {
    DecodingCapacity(
      sequences: max(sequences, other.sequences), promptTokens: max(promptTokens, other.promptTokens),
      positions: max(positions, other.positions), cacheFloats: max(cacheFloats, other.cacheFloats))
  }
}

/// What a forward pass of the ``Decoder`` is for, where it is not for training or scoring.
enum DecodingStage {
  /// The unit is a prompt, whose keys and values go to the cache.
  case prompt(DecodingCache)
  /// The unit is the newest token of each of several samples.
  case step(DecodingStep)
}

/// What a step of decoding needs beside the layers.
struct DecodingStep {
  let attention: DecodingAttention
  /// For ``SkinnyProduct``.
  let productScratch: FloatBuffer
}

/// Logits behind prompts and behind each further token of several samples of them, each token computed once.
///
/// A prompt is computed alone, and a row of logits depends on its own sequence only: the same bits come out whatever is
/// decoded beside it, as long as ``SkinnyProduct/isOwn``.
package final class BatchDecoder {
  package let configuration: ModelConfiguration
  package let capacity: DecodingCapacity
  private let layout: ParameterLayout
  private let decoder: Decoder
  private let cache: DecodingCache
  private let step: DecodingStep
  /// (sequences, H) behind each sample's prompt
  private let hidden: FloatBuffer
  /// (sequences, V)
  private let rowLogits: FloatBuffer
  private var unit = WorkUnit()

  /// Allocates all memory for units up to a capacity.
  ///
  /// - Throws: ``Fault`` if memory does not suffice.
  package init(_ configuration: ModelConfiguration, capacity: DecodingCapacity) throws {
    self.configuration = configuration
    self.capacity = capacity
    let c = configuration
    layout = ParameterLayout(c)
    let tokens = max(capacity.sequences, capacity.promptTokens)
    let workspace = try ModelWorkspace(
      c, capacity: UnitCapacity(tokens: tokens, predictions: 0, sequence: capacity.positions), trains: false, budget: 0)
    decoder = try Decoder(c, layout: layout, workspace: workspace)
    cache = try DecodingCache(c, floats: capacity.cacheFloats, sequences: capacity.sequences)
    let inner = max(c.hiddenSize, c.queryWidth, c.intermediateSize)
    step = DecodingStep(
      attention: try DecodingAttention(
        c, cache: cache, sequences: capacity.sequences, positions: capacity.positions),
      productScratch: try FloatBuffer(
        count: SkinnyProduct.scratchCount(rows: capacity.sequences, inner: inner), purpose: "turned activations"))
    hidden = try FloatBuffer(count: capacity.sequences * c.hiddenSize, purpose: "hidden states of samples")
    rowLogits = try FloatBuffer(count: capacity.sequences * c.vocabularySize, purpose: "logits")
    unit.reserve(tokens: tokens, groups: 1, completions: 0)
  }

  /// Computes prompts and the logits behind them: a row for each sample, prompt by prompt.
  ///
  /// - Parameters:
  ///   - samples: of each prompt.
  ///   - newTokens: the most that will be added to a sample.
  package func begin(_ prompts: [[Int32]], samples: [Int], newTokens: Int, parameters: FloatView) {
    let total = samples.reduce(0, +)
    precondition(total <= capacity.sequences, "\(total) samples exceed \(capacity.sequences)")
    cache.begin(promptLengths: prompts.map(\.count), samples: samples, newTokens: newTokens)
    var row = 0
    for (index, prompt) in prompts.enumerated() {
      cache.filledPrompt = index
      unit.removeAll()
      prompt.withUnsafeBufferPointer { unit.beginGroup(example: index, slot: index, prompt: $0) }
      let states = decoder.forward(unit, parameters: parameters, decoding: .prompt(cache))
      for _ in 0..<samples[index] {
        Elementwise.copy(states.rows(prompt.count - 1..<prompt.count), into: hiddenRows(total).rows(row..<row + 1))
        row += 1
      }
    }
    unit.removeAll()
    computeLogits(hiddenRows(total), parameters)
  }

  /// Drops the rows of samples that have ended; the others keep their order.
  ///
  /// - Parameters:
  ///   - isRunning: told the sample's place among all samples of the unit.
  package func keepRows(where isRunning: (_ sample: Int) -> Bool) {
    cache.keepRows(where: isRunning)
  }

  /// Adds the newest token of a row, in the order of the rows, to the next step.
  ///
  /// - Parameters:
  ///   - place: of the token behind its prompt, from 0.
  package func append(_ token: Int32, place: Int) {
    let row = unit.tokens.count
    unit.appendToken(token, at: cache.length(ofPrompt: cache.promptOfRow[row]) + place)
  }

  /// Computes the logits behind the tokens that were appended, one for each row.
  package func advance(parameters: FloatView) {
    precondition(unit.tokens.count == cache.slots.count, "\(unit.tokens.count) tokens for \(cache.slots.count) rows")
    let states = decoder.forward(unit, parameters: parameters, decoding: .step(step))
    computeLogits(states, parameters)
    unit.removeAll()
  }

  /// (V) the logits of a row; valid until the next step, and free to be changed.
  package func logits(ofRow row: Int) -> FloatView {
    rowLogits.view[row * configuration.vocabularySize..<(row + 1) * configuration.vocabularySize]
  }

  private func hiddenRows(_ count: Int) -> Matrix {
    Matrix(hidden.view, rows: count, columns: configuration.hiddenSize)
  }

  private func computeLogits(_ states: Matrix, _ parameters: FloatView) {
    let c = configuration
    let head = Matrix(parameters[layout.head ?? layout.embedding], rows: c.vocabularySize, columns: c.hiddenSize)
    SkinnyProduct.multiply(
      states, head, into: Matrix(rowLogits.view, rows: states.rows, columns: c.vocabularySize), adding: false,
      scratch: step.productScratch.view)
  }
}
