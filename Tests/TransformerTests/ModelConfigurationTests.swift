import AlignmentCore
import JSON
import Testing
import Transformer

@Suite struct ModelConfigurationTests {
  private static let base = [
    "model_type": "\"llama\"", "vocab_size": "100", "hidden_size": "24", "intermediate_size": "40",
    "num_hidden_layers": "5", "num_attention_heads": "4", "num_key_value_heads": "2", "rms_norm_eps": "1e-5",
    "max_position_embeddings": "4096", "rope_theta": "500000.0",
  ]

  /// A `config.json` with some members replaced; nil removes one.
  private func configuration(_ changes: [String: String?] = [:]) throws -> ModelConfiguration {
    var members = Self.base
    for (key, value) in changes { members[key] = value }
    let text = "{" + members.map { "\"\($0)\": \($1)" }.sorted().joined(separator: ", ") + "}"
    return try ModelConfiguration(json: try JSONValue.parse(Array(text.utf8)), path: "somewhere/config.json")
  }

  @Test func readsTheShape() throws {
    let c = try configuration(["head_dim": "8", "eos_token_id": "[7, 9]", "tie_word_embeddings": "true"])
    #expect(c.vocabularySize == 100 && c.hiddenSize == 24 && c.intermediateSize == 40 && c.layerCount == 5)
    #expect(c.headCount == 4 && c.keyValueHeadCount == 2 && c.headDimension == 8 && c.contextLength == 4096)
    #expect(c.normEpsilon == 1e-5 && c.rotary.theta == 500_000 && c.rotary.scaling == .none)
    #expect(c.tiesEmbeddings && c.endOfSequence == [7, 9])
    #expect(c.queryWidth == 32 && c.keyValueWidth == 16 && c.projectionWidth == 64)
    #expect(!c.hasQueryKeyValueBias && !c.hasOutputBias && !c.hasFeedForwardBias && !c.normalizesQueryKey)
    #expect(
      c.attentionWindows == Array(repeating: .max, count: 5) && c.rotatesLayers == [true, true, true, true, true])
  }

  // The defaults of transformers for fields that a config.json may leave out.
  @Test func fillsInDefaults() throws {
    let c = try configuration(["num_key_value_heads": nil, "rms_norm_eps": nil, "rope_theta": nil])
    #expect(c.keyValueHeadCount == 4 && c.headDimension == 6 && c.normEpsilon == 1e-6 && c.rotary.theta == 10_000)
    #expect(!c.tiesEmbeddings && c.endOfSequence.isEmpty)
    #expect(try configuration(["head_dim": "null", "eos_token_id": "3"]).headDimension == 6)
    #expect(try configuration(["eos_token_id": "3"]).endOfSequence == [3])
  }

  private static let llama3 = """
    "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192
    """

  @Test(arguments: [
    ("\"rope_type\": \"linear\", \"factor\": 2.5", "\"type\": \"linear\", \"factor\": 2.5"),
    ("\"rope_type\": \"llama3\", \(llama3)", "\"rope_type\": \"llama3\", \(llama3)"),
    ("\"rope_type\": \"llama3\", \(llama3)", "\"type\": \"llama3\", \(llama3)"),
    ("\"rope_type\": \"default\"", "\"type\": \"default\""),
  ])
  func ropeScalingOfTransformers4EqualsRopeParametersOf5(five: String, four: String) throws {
    let new = try configuration([
      "rope_theta": nil, "rope_parameters": "{\"rope_theta\": 500000.0, \(five)}", "rope_scaling": nil,
    ])
    let old = try configuration(["rope_scaling": "{\(four)}"])
    #expect(new == old)
  }

  @Test func ropeScalingHasItsValues() throws {
    let linear = try configuration(["rope_scaling": #"{"type": "linear", "factor": 2.5}"#])
    #expect(linear.rotary.theta == 500_000 && linear.rotary.scaling == .linear(factor: 2.5))
    let llama3 = try configuration(["rope_scaling": "{\"rope_type\": \"llama3\", \(Self.llama3)}"])
    let scaling = RotaryConfiguration.Scaling.llama3(
      factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 8192)
    #expect(llama3.rotary.theta == 500_000 && llama3.rotary.scaling == scaling)
    #expect(try configuration(["rope_scaling": "null"]).rotary.scaling == .none)
  }

  // 0.1·ln(4) + 1, eq. 22 of arXiv 2309.00071; mscale of both kinds divides it away.
  @Test func yarnHasItsDefaults() throws {
    let yarn = { (more: String) throws -> YarnScaling? in
      let json = #"{"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 2048"# + more + "}"
      guard case .yarn(let scaling) = try configuration(["rope_scaling": json]).rotary.scaling else { return nil }
      return scaling
    }
    let scaling = try #require(try yarn(""))
    #expect(scaling.factor == 4 && scaling.originalContext == 2048 && scaling.betaFast == 32 && scaling.betaSlow == 1)
    #expect(scaling.truncates && abs(scaling.attentionFactor - 1.138_629_436_111_989) < 1e-14)
    #expect(try yarn(#", "mscale": 0.7, "mscale_all_dim": 0.7"#)?.attentionFactor == 1)
    #expect(try yarn(#", "attention_factor": 1.5"#)?.attentionFactor == 1.5)
  }

  @Test func typesHaveTheirPeculiarities() throws {
    let qwen2 = try configuration(["model_type": "\"qwen2\""])
    #expect(qwen2.hasQueryKeyValueBias && !qwen2.hasOutputBias && !qwen2.normalizesQueryKey)
    let qwen3 = try configuration(["model_type": "\"qwen3\"", "head_dim": "16"])
    #expect(!qwen3.hasQueryKeyValueBias && qwen3.normalizesQueryKey && qwen3.headDimension == 16)
    let biased = try configuration(["attention_bias": "true", "mlp_bias": "true"])
    #expect(biased.hasQueryKeyValueBias && biased.hasOutputBias && biased.hasFeedForwardBias)
    let smollm3 = try configuration(["model_type": "\"smollm3\""])
    #expect(smollm3.rotatesLayers == [true, true, true, false, true] && smollm3.tiesEmbeddings)
    let flags = try configuration(["model_type": "\"smollm3\"", "no_rope_layers": "[0, 1, 1, 1, 0]"])
    #expect(flags.rotatesLayers == [false, true, true, true, false])
  }

  @Test func slidingWindowsFollowTransformers() throws {
    let all = Array(repeating: Int.max, count: 5)
    let mistral = { (window: String?) in
      try configuration(["model_type": "\"mistral\"", "sliding_window": window]).attentionWindows
    }
    #expect(try mistral("7") == [7, 7, 7, 7, 7])
    #expect(try mistral("null") == all)
    // Only Mistral and Qwen have windows; Qwen only from a layer on, and only if asked.
    #expect(try configuration(["sliding_window": "7"]).attentionWindows == all)
    let qwen = { (changes: [String: String?]) in
      try configuration(["model_type": "\"qwen2\"", "sliding_window": "7"].merging(changes) { $1 }).attentionWindows
    }
    #expect(try qwen([:]) == all)
    #expect(try qwen(["use_sliding_window": "true", "max_window_layers": "3"]) == [.max, .max, .max, 7, 7])
    #expect(try qwen(["use_sliding_window": "true"]) == all)
    let kinds = #"["full_attention", "sliding_attention", "full_attention", "sliding_attention", "full_attention"]"#
    #expect(try qwen(["use_sliding_window": "true", "layer_types": kinds]) == [.max, 7, .max, 7, .max])
  }

  // `sliding_window: int | None = 4096` in MistralConfig, Qwen2Config and Qwen3Config: absent is not null.
  @Test func anAbsentWindowIs4096() throws {
    #expect(try configuration(["model_type": "\"mistral\""]).attentionWindows == Array(repeating: 4096, count: 5))
    let qwen = try configuration([
      "model_type": "\"qwen2\"", "use_sliding_window": "true", "max_window_layers": "3",
    ])
    #expect(qwen.attentionWindows == [.max, .max, .max, 4096, 4096])
  }

  // MistralConfig and the Qwen configurations: a default where the field is absent, the number of heads where it is null.
  @Test(arguments: ["mistral", "qwen2", "qwen3", "llama"])
  func nullKeyValueHeadsAreAsManyAsHeads(type: String) throws {
    let c = try configuration(["model_type": "\"\(type)\"", "num_key_value_heads": "null", "head_dim": "6"])
    #expect(c.keyValueHeadCount == 4)
  }

  /// The fault of a configuration with some members replaced.
  private func refusal(_ changes: [String: String?]) -> Fault? {
    do {
      _ = try configuration(changes)
      return nil
    } catch { return error as? Fault }
  }

  @Test(arguments: [
    ("model_type", "\"gpt2\"", "gpt2"), ("hidden_act", "\"gelu\"", "gelu"),
    ("rope_scaling", #"{"rope_type": "longrope", "factor": 2.0}"#, "longrope"),
    ("rope_scaling", #"{"type": "ntk", "factor": 2.0}"#, "ntk"),
  ])
  func whatIsNotSupportedIsNamed(key: String, value: String, name: String) throws {
    let fault = try #require(refusal([key: value]))
    let field = key == "rope_scaling" ? "rope_type" : key
    #expect(fault.kind == .data && fault.location == "somewhere/config.json")
    #expect(fault.what.contains(field) && fault.what.contains("\"\(name)\"") && fault.hint.contains("supported"))
  }

  @Test(arguments: [
    "model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
  ])
  func missingFieldsAreNamed(key: String) throws {
    for value in [nil, "null"] as [String?] {
      let fault = try #require(refusal([key: value]))
      #expect(fault.kind == .data && fault.what.contains(key))
    }
  }

  @Test(arguments: [
    ("vocab_size", "\"many\""), ("hidden_size", "0"), ("intermediate_size", "-4"), ("num_hidden_layers", "2.5"),
    ("num_attention_heads", "4294967296"), ("rms_norm_eps", "\"small\""), ("tie_word_embeddings", "1"),
    ("rope_theta", "\"10000\""), ("eos_token_id", "-1"), ("eos_token_id", "[2, \"</s>\"]"), ("model_type", "7"),
    ("rope_scaling", "\"linear\""), ("head_dim", "true"),
  ])
  func wrongValuesAreNamed(key: String, value: String) throws {
    let fault = try #require(refusal([key: value]))
    #expect(fault.kind == .data && fault.what.contains(key) && fault.location == "somewhere/config.json")
  }

  @Test func scalingWithoutItsParametersIsNamed() throws {
    #expect(try #require(refusal(["rope_scaling": #"{"type": "linear"}"#])).what.contains("factor"))
    let partial = #"{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0}"#
    #expect(try #require(refusal(["rope_scaling": partial])).what.contains("high_freq_factor"))
  }

  @Test func shapesThatDoNotFitAreRefused() throws {
    let heads = try #require(refusal(["num_key_value_heads": "3"]))
    #expect(heads.what.contains("num_attention_heads 4") && heads.what.contains("num_key_value_heads 3"))
    #expect(try #require(refusal(["head_dim": "7"])).what.contains("head_dim 7"))
  }

  @Test(arguments: ModelFixture.names)
  func theLayoutCoversTheArenaOnceInOrder(name: String) throws {
    let layout = ParameterLayout(
      try ModelConfiguration(json: ModelFixture.json(name, "config.json"), path: "config.json"))
    var end = 0
    for tensor in layout.tensors {
      #expect(tensor.range.lowerBound == end && tensor.range.count == tensor.shape.reduce(1, *))
      #expect(tensor.isMatrix == (tensor.shape.count == 2))
      end = tensor.range.upperBound
    }
    #expect(end == layout.count && Set(layout.tensors.map(\.name)).count == layout.tensors.count)
  }
}
