import AlignmentCore
import Checkpoints
import Foundation
import JSON
import Testing
import Transformer

/// A random tiny model of `Tests/Fixtures/models` with what transformers computes for it in Float64.
final class ModelFixture {
  static let names = [
    "llama-bf16", "llama-biased", "llama-f16", "llama-gqa", "llama-sharded-v4", "mistral", "qwen2", "qwen3", "smollm3",
  ]

  typealias Pair = (prompt: [Int32], chosen: [Int32], rejected: [Int32])

  let configuration: ModelConfiguration
  let layout: ParameterLayout
  let parameters: FloatBuffer
  let expected: JSONValue
  let pairs: [Pair]

  init(_ name: String) throws {
    let directory = Self.directory(name)
    configuration = try ModelConfiguration(json: Self.json(name, "config.json"), path: "config.json")
    layout = ParameterLayout(configuration)
    parameters = try FloatBuffer(count: layout.count, purpose: "test")
    expected = try Self.json(name, "expected.json")
    pairs = try #require(expected["pairs"]?.arrayValue).map { pair in
      (try pair.tokens("prompt"), try pair.tokens("chosen"), try pair.tokens("rejected"))
    }
    try load(try ModelFiles.open(directory: directory))
  }

  private func load(_ files: ModelFiles) throws {
    #expect(
      files.names == layout.tensors.map(\.name).sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) })
    for tensor in layout.tensors {
      let (file, record) = try #require(files[tensor.name])
      try #require(record.shape == tensor.shape)
      let target = parameters.view[tensor.range]
      try file.copyFloats(of: record, into: UnsafeMutableBufferPointer(start: target.base, count: target.count))
    }
  }

  static func directory(_ name: String) -> String {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Fixtures/models/\(name)").path(percentEncoded: false)
  }

  static func json(_ name: String, _ file: String) throws -> JSONValue {
    try JSONValue.parse(try FileSystem.readWhole("\(directory(name))/\(file)"))
  }

  /// All pairs, one group each, in one unit.
  var pairUnit: WorkUnit { WorkUnit(pairs.map { ($0.prompt, [$0.chosen, $0.rejected]) }) }

  /// A unit for each pair.
  var pairUnits: [WorkUnit] { pairs.map { WorkUnit([($0.prompt, [$0.chosen, $0.rejected])]) } }
}

extension WorkUnit {
  /// Groups of a prompt and its completions; example and slot are the place in the list.
  init(_ groups: [(prompt: [Int32], completions: [[Int32]])]) {
    self.init()
    for (index, group) in groups.enumerated() {
      group.prompt.withUnsafeBufferPointer { beginGroup(example: index, slot: index, prompt: $0) }
      for completion in group.completions { completion.withUnsafeBufferPointer { addCompletion($0) } }
    }
  }
}

extension UnitCapacity {
  /// Room for the largest of some units and not a token more.
  init(_ units: [WorkUnit]) {
    self.init(
      tokens: units.map(\.tokens.count).max() ?? 0, predictions: units.map(\.targets.count).max() ?? 0,
      sequence: Int(units.flatMap(\.positions).max() ?? 0) + 1)
  }
}

/// A model and what happened when it was differentiated over some units.
struct Differentiation {
  /// The sum over the units of the gradient of each parameter.
  private(set) var gradient: [Double]
  /// The log-probability of every token of every unit.
  private(set) var logProbabilities: [[Double]] = []

  /// - Parameters:
  ///   - objective: writes the derivatives of a group's rows.
  init(
    _ units: [WorkUnit], _ configuration: ModelConfiguration, _ parameters: FloatBuffer,
    budget: MemoryBudget = MemoryBudget(), objective: (LanguageModel, WorkUnit, GroupSpan) -> Void
  ) throws {
    let model = try LanguageModel(
      configuration, capacity: UnitCapacity(units), trained: TrainedParameters(all: ParameterLayout(configuration)),
      budget: budget)
    let gradients = try FloatBuffer(count: model.layout.count, purpose: "test")
    gradient = Array(repeating: 0, count: gradients.count)
    for unit in units {
      // What a unit leaves behind must not show in the next.
      for i in 0..<gradients.count { gradients.view.base[i] = .nan }
      model.differentiate(unit, parameters: parameters.view, values: parameters.view, gradients: gradients.view) {
        objective(model, unit, $0)
      }
      for i in 0..<gradients.count { gradient[i] += Double(gradients.view.base[i]) }
      logProbabilities.append(Array(model.tokenLogProbabilities[..<unit.targets.count]))
    }
  }

  /// The global L2 norm of a part of the gradient.
  func norm(_ range: Range<Int>? = nil) -> Double {
    gradient[range ?? 0..<gradient.count].reduce(0) { $0 + $1 * $1 }.squareRoot()
  }

  /// The largest difference of an element from that of another gradient, relative to the tensor's largest element.
  func distance(to other: Differentiation, _ layout: ParameterLayout) -> Double {
    layout.tensors.map { tensor -> Double in
      let scale = tensor.range.reduce(0) { max($0, abs(other.gradient[$1])) }
      let largest = tensor.range.reduce(0) { worst, i in
        let difference = abs(gradient[i] - other.gradient[i])
        return difference <= worst ? worst : difference
      }
      return largest == 0 ? 0 : largest / scale
    }.reduce(0) { $1 <= $0 ? $0 : $1 }
  }
}

extension LanguageModel {
  /// Writes one derivative for all tokens of each completion of a group.
  func write(_ derivatives: [Double], _ unit: WorkUnit, _ group: GroupSpan) {
    for (derivative, completion) in zip(derivatives, group.completions) {
      for row in unit.completions[completion].rows { tokenDerivatives.base[row] = Float(derivative) }
    }
  }

  /// The summed log-probabilities of a group's completions.
  func sums(_ unit: WorkUnit, _ group: GroupSpan) -> [Double] {
    group.completions.map { output(of: unit.completions[$0]) }
  }
}

extension JSONValue {
  /// The numbers of an array.
  var doubles: [Double] { arrayValue?.compactMap(\.doubleValue) ?? [] }

  /// The token ids under a key.
  func tokens(_ key: ByteString) throws -> [Int32] {
    try #require(self[key]?.arrayValue).map { Int32(try #require($0.intValue)) }
  }

  /// The number under a key.
  func number(_ key: ByteString) throws -> Double { try #require(self[key]?.doubleValue) }
}

/// SplitMix64 (Steele, Lea and Flood 2014): deterministic numbers that owe nothing to the code under test.
struct TestGenerator {
  private var state: UInt64

  init(_ seed: Int) { state = UInt64(truncatingIfNeeded: seed) }

  private mutating func bits() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  mutating func uniform(_ low: Double, _ high: Double) -> Double {
    low + (high - low) * Double(bits() >> 11) * 0x1p-53
  }

  mutating func tokens(_ count: Int, below bound: Int) -> [Int32] {
    (0..<count).map { _ in Int32(bits() % UInt64(bound)) }
  }
}
