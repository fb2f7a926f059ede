import AlignmentCore
import Checkpoints
import Foundation
import JSON
import Testing
import Training
import Transformer

/// Adapters of `Tests/Fixtures/adapters` against what PEFT computes with them.
@Suite struct AdapterTests {
  // Sums of up to twenty token log-probabilities of a Float32 model; RMSNorm is Float32 on both sides.
  static let outputTolerance = 2e-4
  // Of the sum of up to a thousand merged weights near 1, and of their squares, in Float32.
  static let weightTolerance = 1e-4

  static func directory(_ name: String) -> String {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Fixtures/adapters/\(name)").path(percentEncoded: false)
  }

  private static func expected(_ name: String) throws -> JSONValue {
    try JSONValue.parse(try FileSystem.readWhole("\(directory(name))/expected.json"))
  }

  /// The base model with an adapter, and its layout.
  private static func merged(_ name: String, head: ModelHead) throws -> (ModelFixture, ParameterLayout, FloatBuffer) {
    let fixture = try ModelFixture("llama-gqa")
    let layout = ParameterLayout(fixture.configuration, head: head)
    let parameters = try FloatBuffer(count: layout.count, purpose: "test")
    try fixture.load(into: parameters.view, layout)
    try AdapterFiles(directory(name)).merge(layout, into: parameters.view)
    return (fixture, layout, parameters)
  }

  static let cases: [(String, ModelHead)] = [
    ("plain", .languageModel), ("patterns", .languageModel), ("reward", .score),
  ]

  @Test(arguments: cases)
  func outputs(name: String, head: ModelHead) throws {
    let (fixture, _, parameters) = try Self.merged(name, head: head)
    let golden = try Self.expected(name)
    let pairs = try #require(golden["pairs"]?.arrayValue)
    let outputs = try #require(golden["logps"]?.arrayValue)
    for (pair, expected) in zip(pairs, outputs) {
      let ids = { (key: ByteString) in try #require(pair[key]?.arrayValue).map { Int32($0.intValue ?? 0) } }
      var unit = WorkUnit()
      try ids("prompt").withUnsafeBufferPointer { unit.beginGroup(example: 0, slot: 0, prompt: $0) }
      for side in ["chosen", "rejected"] as [ByteString] {
        try ids(side).withUnsafeBufferPointer {
          if head == .score { unit.addScoredCompletion($0) } else { unit.addCompletion($0) }
        }
      }
      let model = try LanguageModel(
        fixture.configuration, head: head,
        capacity: UnitCapacity(tokens: unit.tokens.count, predictions: unit.targets.count, sequence: 64), trained: nil)
      model.score(unit, parameters: parameters.view)
      for (span, side) in zip(unit.completions, ["chosen", "rejected"] as [ByteString]) {
        let wanted = try #require(expected[side]?.doubleValue)
        #expect(abs(model.output(of: span) - wanted) <= Self.outputTolerance * max(1, abs(wanted) / 10))
      }
    }
  }

  @Test(arguments: cases)
  func mergedTensors(name: String, head: ModelHead) throws {
    let (fixture, layout, parameters) = try Self.merged(name, head: head)
    let golden = try #require(try Self.expected(name)["merged"]?.objectValue)
    let base = try FloatBuffer(count: layout.count, purpose: "test")
    try fixture.load(into: base.view, layout)
    for tensor in layout.tensors {
      let values = tensor.range.map { Double(parameters.view.base[$0]) }
      guard let sums = golden[ByteString(tensor.name)]?.arrayValue?.compactMap(\.doubleValue) else {
        #expect(tensor.range.allSatisfy { parameters.view.base[$0] == base.view.base[$0] }, "\(tensor.name)")
        continue
      }
      let squares = values.reduce(0) { $0 + $1 * $1 }
      #expect(abs(values.reduce(0, +) - sums[0]) <= Self.weightTolerance * sums[1].squareRoot(), "\(tensor.name)")
      #expect(abs(squares - sums[1]) <= Self.weightTolerance * sums[1], "\(tensor.name)")
    }
  }

  /// A copy of a fixture whose configuration has other values.
  private func edited(_ name: String, _ directory: TemporaryDirectory, _ changes: [(ByteString, String)]) throws {
    let source = Self.directory(name)
    var configuration = try #require(
      try JSONValue.parse(try FileSystem.readWhole("\(source)/adapter_config.json")).objectValue)
    for (key, text) in changes { configuration[key] = try JSONValue.parse(Array(text.utf8)) }
    try AtomicFile.write("\(directory.path)/adapter_config.json", JSONValue.object(configuration).serialized())
    try AtomicFile.write(
      "\(directory.path)/adapter_model.safetensors", try FileSystem.readWhole("\(source)/adapter_model.safetensors"))
  }

  static let refusals: [(ByteString, String, [String])] = [
    ("peft_type", "\"LOHA\"", ["no LoRA"]), ("task_type", "\"TOKEN_CLS\"", ["TOKEN_CLS"]),
    ("use_dora", "true", ["use_dora", "plain LoRA"]), ("bias", "\"all\"", ["biases"]),
    ("init_lora_weights", "\"pissa_niter_4\"", ["pissa_niter_4", "path_initial_model"]),
    ("target_parameters", "[\"a\"]", ["target_parameters"]), ("lora_alpha", "\"big\"", ["lora_alpha"]),
    ("r", "5", ["rank 4", "5 here"]), ("rank_pattern", "{\"q_proj\": 3}", ["q_proj", "rank 4", "3 here"]),
    ("alpha_pattern", "{\"[\": 3}", ["alpha_pattern", "'['", "regular expression"]),
    ("alpha_pattern", "{\"q_proj\": -1}", ["alpha_pattern", "above 0"]),
  ]

  @Test(arguments: refusals)
  func refuses(key: ByteString, value: String, words: [String]) throws {
    let directory = try TemporaryDirectory()
    try edited("plain", directory, [(key, value)])
    let message = fault(.data) { _ = try AdapterFiles(directory.path) }
    for word in words + ["adapter_config.json"] { #expect(message.contains(word), "\(message)") }
  }

  @Test func keysThatChangeNothing() throws {
    let directory = try TemporaryDirectory()
    try edited(
      "plain", directory,
      [
        ("use_dora", "null"), ("loftq_config", "{}"), ("arrow_config", "{}"), ("lora_dropout", "0.9"), ("bias", "null"),
        ("init_lora_weights", "\"gaussian\""), ("layer_replication", "[]"), ("task_type", "null"),
        ("rank_pattern", "{\"proj\": 1}"), ("a_key_of_tomorrow", "3"),
      ])
    _ = try AdapterFiles(directory.path)
  }

  @Test(arguments: [
    ("embed_tokens.lora_embedding_A", "embedding"), ("embed_tokens.base_layer.weight", "embedding"),
    ("layers.0.self_attn.q_proj.lora_magnitude_vector", "DoRA"), ("layers.0.self_attn.q_proj.lora_B.weight", "lora_A"),
    ("layers.0.self_attn.q_proj.lora_A.weight", "lora_B"),
  ])
  func refusesTensors(name: String, word: String) throws {
    let directory = try TemporaryDirectory()
    try edited("plain", directory, [])
    let numbers: [Float] = [1, 2, 3, 4]
    try numbers.withUnsafeBufferPointer {
      try SafetensorsWriter.write(
        path: "\(directory.path)/adapter_model.safetensors",
        tensors: [TensorSource(name: "base_model.model.model.\(name)", shape: [2, 2], values: $0)])
    }
    let message = fault(.data) { _ = try AdapterFiles(directory.path) }
    #expect(message.contains(word) && message.contains("adapter_model.safetensors"), "\(message)")
  }

  @Test func refusesTheAdapterOfAnotherModel() throws {
    let fixture = try ModelFixture("qwen3")
    let parameters = try FloatBuffer(count: fixture.layout.count, purpose: "test")
    for name in ["plain", "reward"] {
      let message = fault(.data) {
        try AdapterFiles(Self.directory(name)).merge(fixture.layout, into: parameters.view)
      }
      #expect(message.contains("adapter of this model"), "\(message)")
    }
  }
}
