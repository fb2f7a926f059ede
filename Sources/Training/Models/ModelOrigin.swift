import AlignmentCore
import JSON
import Transformer

/// Where a model comes from.
package enum ModelOrigin: Equatable, Sendable {
  /// A Hugging Face model directory.
  case directory(String)
  /// New random weights with a byte-level vocabulary.
  case initialized(ModelShape, seed: UInt64)

  /// The directory, if it is one.
  var directory: String? {
    if case .directory(let directory) = self { return directory }
    return nil
  }

  /// `model: DIRECTORY`, or a table `model.initialize` with a shape.
  init(_ recipe: RecipeSection) throws {
    guard recipe.isTable("model") else {
      let directory = try recipe.string(
        "model", hint: "name a Hugging Face model directory, for example model=models/smollm2")
      self = .directory(directory)
      return
    }
    let section = try recipe.section("model")
    let shape = try section.section("initialize")
    let seed = UInt64(try shape.integer("seed", default: 0, in: 0...Int.max))
    self = .initialized(try ModelShape(shape), seed: seed)
    try shape.finish()
    try section.finish()
  }
}

/// The shape of a Llama to be initialised.
package struct ModelShape: Equatable, Sendable {
  package var hiddenSize = 128
  package var intermediateSize = 384
  package var layers = 4
  package var heads = 4
  package var keyValueHeads = 4
  package var contextLength = 512

  init(_ section: RecipeSection) throws {
    let size = 1...1 << 20
    hiddenSize = try section.integer("hidden_size", default: hiddenSize, in: size)
    intermediateSize = try section.integer("intermediate_size", default: intermediateSize, in: size)
    layers = try section.integer("layers", default: layers, in: 1...10_000)
    heads = try section.integer("heads", default: heads, in: size)
    keyValueHeads = try section.integer("kv_heads", default: heads, in: size)
    contextLength = try section.integer("context", default: contextLength, in: 2...1 << 24)
    guard hiddenSize % heads == 0, heads % keyValueHeads == 0, hiddenSize / heads % 2 == 0 else {
      throw Fault(
        .configuration, "hidden_size \(hiddenSize), heads \(heads) and kv_heads \(keyValueHeads) do not fit together",
        at: section.path, hint: "hidden_size / heads must be even, heads a multiple of kv_heads")
    }
  }

  /// The `config.json` of such a model.
  func configuration(vocabularySize: Int, endOfSequence: Int32) -> JSONValue {
    let integers: [(ByteString, Int)] = [
      ("vocab_size", vocabularySize), ("hidden_size", hiddenSize), ("intermediate_size", intermediateSize),
      ("num_hidden_layers", layers), ("num_attention_heads", heads), ("num_key_value_heads", keyValueHeads),
      ("head_dim", hiddenSize / heads), ("max_position_embeddings", contextLength),
      ("bos_token_id", Int(endOfSequence)), ("eos_token_id", Int(endOfSequence)),
    ]
    let rope = JSONObject([("rope_type", .string("default")), ("rope_theta", .double(10_000))])
    return .object(
      JSONObject(
        [
          ("architectures", .array([.string("LlamaForCausalLM")])), ("model_type", .string("llama")),
          ("hidden_act", .string("silu")), ("rms_norm_eps", .double(1e-5)), ("rope_theta", .double(10_000)),
          ("rope_scaling", .null), ("rope_parameters", .object(rope)), ("tie_word_embeddings", .bool(true)),
          ("torch_dtype", .string("float32")), ("dtype", .string("float32")),
        ] + integers.map { ($0.0, JSONValue.integer(Int64($0.1))) }))
  }
}
