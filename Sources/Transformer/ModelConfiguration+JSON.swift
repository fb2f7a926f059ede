import AlignmentCore
import JSON

#if canImport(Glibc)
  import Glibc
#endif

extension ModelConfiguration {
  package static let supportedTypes = ["llama", "mistral", "qwen2", "qwen3", "smollm3"]

  /// Reads the fields of a Hugging Face `config.json`, in the spelling of transformers 4 or 5.
  ///
  /// - Throws: ``Fault`` that names the field and what it must be.
  package init(json: JSONValue, path: String) throws {
    let fields = ConfigurationFields(json: json, path: path)
    let type = try fields.string("model_type")
    guard Self.supportedTypes.contains(type) else {
      throw Fault(
        .data, "model_type \"\(type)\" is not supported", at: path,
        hint: "supported are \(Self.supportedTypes.joined(separator: ", "))")
    }
    try fields.require("hidden_act", oneOf: ["silu"], default: "silu")
    let heads = try fields.positive("num_attention_heads", atMost: 1 << 16)
    let hidden = try fields.positive("hidden_size", atMost: 1 << 20)
    let layers = try fields.positive("num_hidden_layers", atMost: 1 << 12)
    let keyValueHeads = try Self.keyValueHeads(fields, type: type, heads: heads)
    let context = try fields.positive(
      "max_position_embeddings", default: type == "mistral" ? 131_072 : type == "llama" ? 2048 : 32_768)
    let attentionBias = try fields.boolean("attention_bias", default: false)
    modelType = type
    vocabularySize = try fields.positive("vocab_size")
    hiddenSize = hidden
    intermediateSize = try fields.positive("intermediate_size")
    layerCount = layers
    headCount = heads
    keyValueHeadCount = keyValueHeads
    headDimension = try fields.positive("head_dim", default: type == "qwen3" ? 128 : hidden / heads)
    contextLength = context
    normEpsilon = Float(try fields.positiveNumber("rms_norm_eps", default: 1e-6))
    rotary = try RotaryConfiguration(
      fields: fields, context: context, defaultTheta: type == "smollm3" ? 2_000_000 : 10_000)
    tiesEmbeddings = try fields.boolean("tie_word_embeddings", default: type == "smollm3")
    hasQueryKeyValueBias = type == "qwen2" || (attentionBias && type != "mistral")
    hasOutputBias = attentionBias && type != "qwen2" && type != "mistral"
    hasFeedForwardBias = try fields.boolean("mlp_bias", default: false)
    normalizesQueryKey = type == "qwen3"
    attentionWindows = try Self.attentionWindows(fields, type: type, layers: layers)
    rotatesLayers = try Self.rotatedLayers(fields, type: type, layers: layers)
    endOfSequence = try fields.tokens("eos_token_id")
    try checkShape(path)
  }

  private func checkShape(_ path: String) throws {
    guard headCount % keyValueHeadCount == 0 else {
      throw Fault(
        .data, "num_attention_heads \(headCount) is no multiple of num_key_value_heads \(keyValueHeadCount)", at: path)
    }
    guard headDimension % 2 == 0 else {
      throw Fault(.data, "head_dim \(headDimension) is odd; rotary embeddings rotate pairs", at: path)
    }
  }

  /// Null means as many as heads; an absent field has the default of its model type.
  private static func keyValueHeads(_ fields: ConfigurationFields, type: String, heads: Int) throws -> Int {
    if fields["num_key_value_heads"] == .null { return heads }
    let defaults = ["mistral": 8, "smollm3": 4, "qwen2": 32, "qwen3": 32]
    return try fields.positive("num_key_value_heads", default: defaults[type] ?? heads)
  }

  /// Mistral limits every layer, Qwen the layers that `layer_types` or `max_window_layers` name.
  private static func attentionWindows(_ fields: ConfigurationFields, type: String, layers: Int) throws -> [Int] {
    // Null is no window; an absent one is 4096.
    let isUnlimited = fields["sliding_window"] == .null
    let window = isUnlimited ? Int.max : try fields.positive("sliding_window", default: 4096)
    if let kinds = fields["layer_types"]?.arrayValue?.compactMap(\.stringValue), kinds.count == layers {
      return kinds.map { $0 == "sliding_attention" ? window : Int.max }
    }
    let first: Int
    switch type {
    case "mistral": first = 0
    case "qwen2" where try fields.boolean("use_sliding_window", default: false),
      "qwen3" where try fields.boolean("use_sliding_window", default: false):
      first = try fields.integer("max_window_layers", default: 28)
    default: first = layers
    }
    return (0..<layers).map { $0 >= first ? window : Int.max }
  }

  /// SmolLM3 leaves every fourth layer without rotation unless `no_rope_layers` says otherwise (1 rotates, 0 does not).
  private static func rotatedLayers(_ fields: ConfigurationFields, type: String, layers: Int) throws -> [Bool] {
    guard type == "smollm3" else { return Array(repeating: true, count: layers) }
    if let flags = fields["no_rope_layers"]?.arrayValue, flags.count == layers {
      return flags.map { $0.intValue != 0 }
    }
    let interval = try fields.positive("no_rope_layer_interval", default: 4)
    return (0..<layers).map { ($0 + 1) % interval != 0 }
  }
}

extension RotaryConfiguration {
  /// A non-null `rope_scaling` replaces `rope_parameters`; a top-level `rope_theta` fills in where those have none.
  init(fields: ConfigurationFields, context: Int, defaultTheta: Double) throws {
    let key = fields.isNull("rope_scaling") ? "rope_parameters" : "rope_scaling"
    let rope = try fields.object(key)
    let topLevelTheta = try fields.positiveNumber("rope_theta", default: defaultTheta)
    theta = try rope.positiveNumber("rope_theta", default: topLevelTheta)
    let original = try rope.positiveNumber("original_max_position_embeddings", default: Double(context))
    let kind = try rope.string("rope_type", default: rope.string("type", default: "default"))
    switch kind {
    // Dynamic scaling only acts beyond max_position_embeddings, where this program never goes.
    case "default", "dynamic": scaling = .none
    case "linear": scaling = .linear(factor: try rope.positiveNumber("factor"))
    case "llama3":
      scaling = .llama3(
        factor: try rope.positiveNumber("factor"), lowFrequencyFactor: try rope.positiveNumber("low_freq_factor"),
        highFrequencyFactor: try rope.positiveNumber("high_freq_factor"), originalContext: original)
    case "yarn": scaling = .yarn(try YarnScaling(rope, originalContext: original))
    default:
      throw Fault(
        .data, "rope_type \"\(kind)\" is not supported", at: fields.path,
        hint: "supported are default, linear, dynamic, llama3 and yarn")
    }
  }
}

extension YarnScaling {
  fileprivate init(_ rope: ConfigurationFields, originalContext: Double) throws {
    factor = try rope.positiveNumber("factor")
    self.originalContext = originalContext
    betaFast = try rope.number("beta_fast", default: 32)
    betaSlow = try rope.number("beta_slow", default: 1)
    truncates = try rope.boolean("truncate", default: true)
    let scale = { (factor: Double, m: Double) in factor <= 1 ? 1 : 0.1 * m * log(factor) + 1 }
    let byDefault: Double
    if let m = rope["mscale"]?.doubleValue, let all = rope["mscale_all_dim"]?.doubleValue, m != 0, all != 0 {
      byDefault = scale(factor, m) / scale(factor, all)
    } else {
      byDefault = scale(factor, 1)
    }
    attentionFactor = try rope.number("attention_factor", default: byDefault)
  }
}
