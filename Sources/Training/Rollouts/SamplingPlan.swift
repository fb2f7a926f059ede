import PreferenceData
import Transformer

/// How much a unit of a sampling pass may hold.
package struct SamplingLimits: Sendable, Equatable {
  /// Samples that are decoded together.
  package var sequences: Int
  /// Bytes of their keys and values.
  package var cacheBytes: Int

  package init(sequences: Int = 64, cacheBytes: Int = 1 << 30) {
    self.sequences = sequences
    self.cacheBytes = cacheBytes
  }
}

/// The units of a sampling pass: consecutive prompts with all their samples, about the same number in each.
///
/// They depend on the lengths of the prompts, the number of samples and the limits alone. A prompt whose samples do not
/// fit into a unit has several units.
package struct SamplingPlan {
  /// Some samples of a prompt.
  package struct Part: Equatable {
    package let prompt: Int
    package let samples: Range<Int>
  }

  package let units: [[Part]]
  /// What the largest unit needs.
  package let capacity: DecodingCapacity

  package init(
    promptLengths: [Int], settings: SamplingSettings, configuration: ModelConfiguration, limits: SamplingLimits
  ) {
    let newTokens = DecodingCapacity.newTokens(
      configuration, promptLengths: promptLengths, atMost: settings.maxNewTokens)
    let floats = { (prompt: Int, samples: Int) in
      DecodingCapacity.cacheFloats(
        configuration, promptLengths: [promptLengths[prompt]], samples: samples, newTokens: newTokens)
    }
    var packer = UnitPacker(
      prompts: promptLengths.count, samples: settings.samples, sequences: limits.sequences,
      floatLimit: limits.cacheBytes / MemoryLayout<Float>.stride, floats: floats)
    for prompt in promptLengths.indices { packer.add(prompt) }
    units = packer.units
    let capacities = units.map { unit in
      DecodingCapacity(
        configuration, promptLengths: unit.map { promptLengths[$0.prompt] },
        samples: unit.reduce(0) { $0 + $1.samples.count }, newTokens: newTokens)
    }
    capacity = capacities.reduce(DecodingCapacity(sequences: 0, promptTokens: 0, positions: 0, cacheFloats: 0)) {
      $0.union($1)
    }
  }
}

/// Fills units with prompts in their order.
private struct UnitPacker {
  private(set) var units: [[SamplingPlan.Part]] = []
  private let samples: Int
  private let sequences: Int
  private let promptsPerUnit: Int
  private let floatLimit: Int
  /// Floats of the keys and values of a prompt and some samples of it.
  private let floats: (_ prompt: Int, _ samples: Int) -> Int
  private var openFloats = 0
  private var isOpen = false

  init(
    prompts: Int, samples: Int, sequences: Int, floatLimit: Int,
    floats: @escaping (_ prompt: Int, _ samples: Int) -> Int
  ) {
    self.samples = samples
    self.sequences = sequences
    self.floatLimit = floatLimit
    self.floats = floats
    let unitCount = UnitPlan.unitCount(for: prompts, budget: max(1, sequences / samples))
    promptsPerUnit = max(1, (prompts + unitCount - 1) / unitCount)
  }

  mutating func add(_ prompt: Int) {
    let perUnit = largestPart(of: prompt)
    guard perUnit >= samples else { return split(prompt, into: (samples + perUnit - 1) / perUnit) }
    let needed = floats(prompt, samples)
    if !isOpen || units[units.count - 1].count >= promptsPerUnit || openFloats + needed > floatLimit {
      units.append([])
      openFloats = 0
    }
    units[units.count - 1].append(SamplingPlan.Part(prompt: prompt, samples: 0..<samples))
    openFloats += needed
    isOpen = true
  }

  /// How many samples of a prompt fit into a unit of their own; at least one is tried.
  private func largestPart(of prompt: Int) -> Int {
    let shared = floats(prompt, 0)
    let own = floats(prompt, 1) - shared
    return max(1, min(sequences, (floatLimit - shared) / max(own, 1)))
  }

  /// Gives a prompt several units of about the same size.
  private mutating func split(_ prompt: Int, into parts: Int) {
    for part in 0..<parts {
      let range = samples * part / parts..<samples * (part + 1) / parts
      units.append([SamplingPlan.Part(prompt: prompt, samples: range)])
    }
    isOpen = false
  }
}
