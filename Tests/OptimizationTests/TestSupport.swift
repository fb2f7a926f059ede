import AlignmentCore
import Foundation
import JSON
import Optimization
import Testing

/// A file of `Tests/Fixtures` as JSON.
func fixture(_ name: String) throws -> JSONValue {
  let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  return try JSONValue.parse(Array(Data(contentsOf: directory.appending(path: "Fixtures/\(name)"))))
}

extension JSONValue {
  /// The numbers of an array.
  var doubles: [Double] { arrayValue?.compactMap(\.doubleValue) ?? [] }
}

/// A buffer with the given values.
func buffer(_ values: [Float]) throws -> FloatBuffer {
  let buffer = try FloatBuffer(count: values.count, purpose: "test")
  for (index, value) in values.enumerated() { buffer.view.base[index] = value }
  return buffer
}

extension FloatBuffer {
  var values: [Float] { view.values }
}

extension FloatView {
  var values: [Float] { Array(UnsafeBufferPointer(start: base, count: count)) }
}

/// Floats between −1 and 1 that owe nothing to the code under test.
func pseudoRandom(_ count: Int, seed: UInt64) -> [Float] {
  var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
  return (0..<count).map { _ in
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Float(Int64(bitPattern: state) >> 40) * 0x1p-23
  }
}

/// An optimiser with settings of its own.
struct Method: CustomTestStringConvertible, Sendable {
  let name: String
  let settings: [String: String]
  var testDescription: String { "\(name) \(settings.sorted { $0.key < $1.key }.map { "\($0)=\($1)" })" }

  init(_ name: String, _ settings: [String: String] = [:]) {
    self.name = name
    self.settings = settings
  }

  var type: any Optimizer.Type { get throws { try OptimizerRegistry.type(named: name) } }

  func make(shard: [Range<Int>], runs: [ParameterRun], tensors: [TensorShape]) throws -> any Optimizer {
    let type = try type
    return try type.init(
      options: OptimizerRegistry.options(settings, for: type), shard: shard, runs: runs, tensors: tensors)
  }

  /// Every optimiser as it is by default, and those with state of their own for some options.
  static let all: [Method] =
    OptimizerRegistry.all.map { Method($0.name) } + [
      Method("rmsprop", ["momentum": "0.9", "centered": "yes", "epsilon": "0.01"]),
      Method("rmsprop", ["momentum": "0.5"]), Method("sgd", ["momentum": "0.9", "nesterov": "yes"]),
      Method("sgd", ["momentum": "0.9", "dampening": "0.25"]),
      Method("adafactor", ["beta1": "0.9", "scale_parameter": "yes", "clip_threshold": "0.5"]),
    ]
}

/// Tensors of an arena and how they are treated.
struct Arena: Sendable {
  let tensors: [TensorShape]
  let runs: [ParameterRun]
  var count: Int { runs.last?.range.upperBound ?? 0 }

  init(_ parts: [(shape: [Int], group: Int, decays: Bool)]) {
    var (tensors, runs): ([TensorShape], [ParameterRun]) = ([], [])
    var start = 0
    for part in parts {
      let range = start..<start + part.shape.reduce(1, *)
      tensors.append(TensorShape(range: range, shape: part.shape))
      runs.append(ParameterRun(range: range, group: part.group, decays: part.decays))
      start = range.upperBound
    }
    (self.tensors, self.runs) = (tensors, runs)
  }

  /// Two groups; borders of blocks lie within rows, and borders of tensors beside those of vectors.
  static let twoGroups = Arena([
    ([300, 77], 0, true), ([77], 0, false), ([200, 160], 0, true), ([31], 0, false), ([7, 3, 11], 1, false),
    ([2 * Sharding.blockSize - 5], 1, false), ([1], 1, true), ([1, 999], 1, true),
  ])
}
