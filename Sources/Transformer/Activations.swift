import AlignmentCore
import Kernels

/// What limits the arenas of a model: the largest unit that it will be given.
package struct UnitCapacity: Sendable, Equatable {
  /// Tokens of a unit.
  package var tokens: Int
  /// Predictions of a unit.
  package var predictions: Int
  /// Tokens of one sequence (prompt and one completion).
  package var sequence: Int

  package init(tokens: Int, predictions: Int, sequence: Int) {
    self.tokens = tokens
    self.predictions = predictions
    self.sequence = sequence
  }
}

/// What one layer keeps between its forward and its backward pass.
struct LayerActivations {
  /// (T)
  let inputInverse: FloatView
  /// (T, H) normalised input
  let normed: FloatView
  /// (T, (heads + 2·kvHeads)·D) before normalisation and rotation; empty unless queries and keys are normalised
  let rawProjections: FloatView
  /// (T, heads + kvHeads); empty likewise
  let headInverse: FloatView
  /// (T, (heads + 2·kvHeads)·D) after rotation
  let projections: FloatView
  /// (heads, T)
  let logSums: FloatView
  /// (T, heads·D)
  let attended: FloatView
  /// (T, H) input of the feed-forward half
  let middle: FloatView
  /// (T)
  let middleInverse: FloatView
  /// (T, H)
  let middleNormed: FloatView
  /// (T, 2I)
  let gateUp: FloatView
  /// (T, I)
  let activated: FloatView

  static func count(_ c: ModelConfiguration, tokens: Int) -> Int {
    var counter = ArenaCutter(arena: nil)
    _ = LayerActivations(c, tokens: tokens, from: &counter)
    return counter.offset
  }

  init(_ c: ModelConfiguration, tokens: Int, from arena: inout ArenaCutter) {
    let rawTokens = c.normalizesQueryKey ? tokens : 0
    inputInverse = arena.cut(tokens)
    normed = arena.cut(tokens * c.hiddenSize)
    rawProjections = arena.cut(rawTokens * c.projectionWidth)
    headInverse = arena.cut(rawTokens * (c.headCount + c.keyValueHeadCount))
    projections = arena.cut(tokens * c.projectionWidth)
    logSums = arena.cut(tokens * c.headCount)
    attended = arena.cut(tokens * c.queryWidth)
    middle = arena.cut(tokens * c.hiddenSize)
    middleInverse = arena.cut(tokens)
    middleNormed = arena.cut(tokens * c.hiddenSize)
    gateUp = arena.cut(tokens * 2 * c.intermediateSize)
    activated = arena.cut(tokens * c.intermediateSize)
  }
}

/// Hands out consecutive views of an arena, each starting on a cache line; without an arena it only counts.
struct ArenaCutter {
  let arena: FloatView?
  private(set) var offset = 0

  init(arena: FloatView?) { self.arena = arena }

  mutating func cut(_ count: Int) -> FloatView {
    let start = offset
    offset += (count + 15) & ~15
    return arena?[start..<start + count] ?? FloatView(base: Self.placeholder, count: count)
  }

  // Never dereferenced: stands for the address of a view while sizes are only counted.
  private static nonisolated(unsafe) let placeholder = UnsafeMutablePointer<Float>.allocate(capacity: 1)
}

/// All memory that a model needs beside its parameters, allocated once for the largest unit.
///
/// Layers whose activations do not fit the budget share one slot; their forward pass runs again before their backward
/// pass (activation recomputation).
final class ModelWorkspace {
  let capacity: UnitCapacity
  /// How many of the last layers keep their activations.
  let storedLayers: Int
  /// (T, H) input of each layer, and of the final norm last.
  let streams: [FloatView]
  private let slots: [LayerActivations]
  /// (T)
  let finalInverse: FloatView
  /// (T, H)
  let finalNormed: FloatView
  /// (T, H) gradient of the residual stream
  let dStream: FloatView
  /// (T, H) gradient of a normalised input
  let dNormed: FloatView
  /// (T, max(I, heads·D)) gradient of the activated or attended values
  let dWide: FloatView
  /// (T, (heads + 2·kvHeads)·D)
  let dProjections: FloatView
  let attentionScratch: FloatView
  private let storage: FloatBuffer

  /// - Parameters:
  ///   - trains: whether a backward pass will follow; without one a single slot of activations is enough.
  ///   - budget: bytes that activations may take; at least one layer is always kept.
  init(_ c: ModelConfiguration, capacity: UnitCapacity, trains: Bool, budget: Int) throws {
    self.capacity = capacity
    let layerBytes = LayerActivations.count(c, tokens: capacity.tokens) * MemoryLayout<Float>.stride
    let affordable = max(1, budget / max(layerBytes, 1))
    storedLayers = trains ? (affordable >= c.layerCount ? c.layerCount : max(0, affordable - 1)) : 0
    var counter = ArenaCutter(arena: nil)
    _ = Cut(c, capacity, trains, storedLayers, &counter)
    storage = try FloatBuffer(count: counter.offset, purpose: "activations")
    var cutter = ArenaCutter(arena: storage.view)
    let cut = Cut(c, capacity, trains, storedLayers, &cutter)
    (streams, slots) = (cut.streams, cut.slots)
    (finalInverse, finalNormed) = (cut.finalInverse, cut.finalNormed)
    (dStream, dNormed, dWide, dProjections) = (cut.dStream, cut.dNormed, cut.dWide, cut.dProjections)
    attentionScratch = cut.attentionScratch
  }

  /// Where a layer puts its activations.
  func activations(ofLayer layer: Int) -> LayerActivations {
    let firstStored = streams.count - 1 - storedLayers
    return layer >= firstStored ? slots[layer - firstStored] : slots[slots.count - 1]
  }

  /// Whether a layer's activations are gone when its backward pass begins; the last user of the shared slot has its own.
  func isRecomputed(layer: Int) -> Bool { layer < streams.count - 2 - storedLayers }

  /// One walk over the arena: first without memory, to learn its size, then with it.
  private struct Cut {
    let streams: [FloatView]
    let slots: [LayerActivations]
    let finalInverse: FloatView
    let finalNormed: FloatView
    let dStream: FloatView
    let dNormed: FloatView
    let dWide: FloatView
    let dProjections: FloatView
    let attentionScratch: FloatView

    init(_ c: ModelConfiguration, _ capacity: UnitCapacity, _ trains: Bool, _ stored: Int, _ arena: inout ArenaCutter) {
      let tokens = capacity.tokens
      let gradientTokens = trains ? tokens : 0
      streams = (0...c.layerCount).map { _ in arena.cut(tokens * c.hiddenSize) }
      slots = (0..<(stored == c.layerCount ? stored : stored + 1)).map { _ in
        LayerActivations(c, tokens: tokens, from: &arena)
      }
      finalInverse = arena.cut(tokens)
      finalNormed = arena.cut(tokens * c.hiddenSize)
      dStream = arena.cut(gradientTokens * c.hiddenSize)
      dNormed = arena.cut(gradientTokens * c.hiddenSize)
      dWide = arena.cut(gradientTokens * max(c.intermediateSize, c.queryWidth))
      dProjections = arena.cut(gradientTokens * c.projectionWidth)
      attentionScratch = arena.cut((trains ? 2 : 1) * Attention.scratchCount(longestSequence: capacity.sequence))
    }
  }
}
