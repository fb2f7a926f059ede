import AlignmentCore
import Kernels

/// Keys and values of prompts, each shared by its samples, and of the samples' own tokens, so that decoding computes each
/// token once.
///
/// All samples have the same number of own tokens, because each gets one in every step. Own blocks of the same positions
/// lie next to each other, so that a step reads what there is of a head in order.
final class DecodingCache {
  /// Where the blocks of a prompt begin, and how many positions it has.
  private struct Prompt {
    let offset: Int
    let length: Int
  }

  /// Blocks of keys and of values of one head (see ``BlockedHead``).
  struct Blocks {
    let keys: UnsafeMutablePointer<Float>
    let values: UnsafeMutablePointer<Float>
  }

  private let configuration: ModelConfiguration
  /// For each prompt (L, kvHeads, blocks) of keys and then of values; for the samples (L, kvHeads, blocks, slots) of keys
  /// and then of values.
  private let storage: FloatBuffer
  private var prompts: [Prompt] = []
  private var ownOffset = 0
  private var ownBlocks = 0
  private var slotCount = 0
  /// The prompt that the next unit fills in.
  var filledPrompt = 0
  /// What each row of the next step continues; samples of a prompt follow each other.
  private(set) var promptOfRow: [Int] = []
  /// Where the own tokens of each row lie.
  private(set) var slots: [Int32] = []

  /// - Parameters:
  ///   - floats: what ``floats(_:promptLengths:samples:newTokens:)`` gives for the largest unit.
  ///   - sequences: rows of a step at most.
  init(_ configuration: ModelConfiguration, floats: Int, sequences: Int) throws {
    self.configuration = configuration
    storage = try FloatBuffer(count: floats, purpose: "key-value cache")
    promptOfRow.reserveCapacity(sequences)
    slots.reserveCapacity(sequences)
  }

  /// Floats that the samples of some prompts need.
  static func floats(_ c: ModelConfiguration, promptLengths: [Int], samples: Int, newTokens: Int) -> Int {
    promptLengths.reduce(0) { $0 + floats(c, $1) } + samples * floats(c, newTokens)
  }

  private static func floats(_ c: ModelConfiguration, _ positions: Int) -> Int {
    let block = BlockedHead.keyFloats(c.headDimension) + BlockedHead.valueFloats(c.headDimension)
    return c.layerCount * c.keyValueHeadCount * blocks(of: positions) * block
  }

  /// Blocks that hold so many positions.
  static func blocks(of positions: Int) -> Int { (positions + BlockedHead.positions - 1) / BlockedHead.positions }

  /// Forgets everything and makes room for the samples of some prompts.
  func begin(promptLengths: [Int], samples: [Int], newTokens: Int) {
    slotCount = samples.reduce(0, +)
    let needed = Self.floats(configuration, promptLengths: promptLengths, samples: slotCount, newTokens: newTokens)
    precondition(needed <= storage.count, "a unit needs \(needed) floats of a cache of \(storage.count)")
    prompts.removeAll(keepingCapacity: true)
    promptOfRow.removeAll(keepingCapacity: true)
    slots.removeAll(keepingCapacity: true)
    ownOffset = 0
    for (index, length) in promptLengths.enumerated() {
      prompts.append(Prompt(offset: ownOffset, length: length))
      ownOffset += Self.floats(configuration, length)
      for _ in 0..<samples[index] {
        promptOfRow.append(index)
        slots.append(Int32(slots.count))
      }
    }
    ownBlocks = Self.blocks(of: newTokens)
  }

  /// Drops rows; the others keep their order and their slots.
  func keepRows(where isKept: (_ slot: Int) -> Bool) {
    var kept = 0
    for row in slots.indices where isKept(Int(slots[row])) {
      (slots[kept], promptOfRow[kept]) = (slots[row], promptOfRow[row])
      kept += 1
    }
    slots.removeLast(slots.count - kept)
    promptOfRow.removeLast(promptOfRow.count - kept)
  }

  /// Positions of a prompt.
  func length(ofPrompt prompt: Int) -> Int { prompts[prompt].length }

  /// The blocks of a prompt, one behind the other.
  func promptBlocks(_ prompt: Int, layer: Int, head: Int) -> Blocks {
    let (offset, count) = (prompts[prompt].offset, Self.blocks(of: prompts[prompt].length))
    return blocks(offset, total: count, layer, head, before: 0, of: count)
  }

  /// A block of every slot, one behind the other.
  func ownBlocks(_ block: Int, layer: Int, head: Int) -> Blocks {
    blocks(ownOffset, total: ownBlocks * slotCount, layer, head, before: block * slotCount, of: ownBlocks * slotCount)
  }

  private func blocks(_ offset: Int, total: Int, _ layer: Int, _ head: Int, before: Int, of count: Int) -> Blocks {
    let d = configuration.headDimension
    let heads = configuration.layerCount * configuration.keyValueHeadCount
    let index = (layer * configuration.keyValueHeadCount + head) * count + before
    let keys = storage.view.base + offset
    let values = keys + heads * total * BlockedHead.keyFloats(d)
    return Blocks(
      keys: keys + index * BlockedHead.keyFloats(d), values: values + index * BlockedHead.valueFloats(d))
  }
}

// MARK: - Filling

extension DecodingCache {
  /// Takes the keys and values of a whole prompt, which is the only group of its unit.
  ///
  /// - Parameters:
  ///   - projections: (T, (heads + 2·kvHeads)·D) after rotation.
  func fill(layer: Int, from projections: Matrix) {
    precondition(projections.rows == prompts[filledPrompt].length, "\(projections.rows) tokens are not the prompt")
    for head in 0..<configuration.keyValueHeadCount {
      let target = promptBlocks(filledPrompt, layer: layer, head: head)
      for position in 0..<projections.rows {
        store(
          projections.row(position), head, target, block: position / BlockedHead.positions,
          at: position % BlockedHead.positions)
      }
    }
  }

  /// Takes the keys and values of the newest token of every row, at place `own` behind its prompt.
  ///
  /// - Parameters:
  ///   - projections: (rows, (heads + 2·kvHeads)·D) after rotation.
  func append(layer: Int, from projections: Matrix, at own: Int) {
    for head in 0..<configuration.keyValueHeadCount {
      let target = ownBlocks(own / BlockedHead.positions, layer: layer, head: head)
      for row in 0..<projections.rows {
        store(projections.row(row), head, target, block: Int(slots[row]), at: own % BlockedHead.positions)
      }
    }
  }

  private func store(
    _ projection: UnsafeMutablePointer<Float>, _ head: Int, _ target: Blocks, block: Int, at position: Int
  ) {
    let d = configuration.headDimension
    let key = projection + configuration.queryWidth + head * d
    BlockedHead.store(
      key: key, value: key + configuration.keyValueWidth, dimension: d,
      keys: target.keys + block * BlockedHead.keyFloats(d), values: target.values + block * BlockedHead.valueFloats(d),
      at: position)
  }
}
