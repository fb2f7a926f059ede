/// A named tensor as a range of the parameter arena.
package struct TensorSpecification: Sendable, Equatable {
  /// Name in the Hugging Face checkpoint.
  package let name: String
  package let shape: [Int]
  package let range: Range<Int>

  /// Matrices take weight decay by default; vectors (biases, norm weights) do not.
  package var isMatrix: Bool { shape.count > 1 }

  /// Whether it is part of a head that gives scores or values.
  package var belongsToScalarHead: Bool {
    name == ParameterLayout.scoreHead || name.hasPrefix(ParameterLayout.valueHead)
  }
}

/// What stands on top of the decoder.
package enum ModelHead: String, Sendable {
  /// Log-probabilities of tokens.
  case languageModel
  /// The same, and a value of every state for the critic of policy optimisation.
  case languageModelWithValue
  /// One score for a whole completion: a reward model.
  case score
}

/// Where every tensor of a model lies in the flat arenas of parameters, gradients, sums and moments.
///
/// Tensors that one matrix product uses together (query, key and value; gate and up) lie next to each other.
package struct ParameterLayout: Sendable {
  /// The ranges of one layer; projections that are computed together share one range.
  struct Layer: Sendable {
    var inputNorm: Range<Int>
    var queryKeyValue: Range<Int>
    var queryKeyValueBias: Range<Int>?
    var queryNorm: Range<Int>?
    var keyNorm: Range<Int>?
    var output: Range<Int>
    var outputBias: Range<Int>?
    var feedForwardNorm: Range<Int>
    var gateUp: Range<Int>
    var gateUpBias: Range<Int>?
    var down: Range<Int>
    var downBias: Range<Int>?
  }

  /// All tensors in the order of the arena.
  package let tensors: [TensorSpecification]
  /// Floats in the arena.
  package let count: Int
  let embedding: Range<Int>
  let layers: [Layer]
  let finalNorm: Range<Int>
  /// The output embedding; the same range as ``embedding`` where they are tied, absent where completions are scored.
  let head: Range<Int>?
  /// (H) weight and bias of the head that gives scores or values.
  let scalarWeight: Range<Int>?
  let scalarBias: Range<Int>?

  package init(_ c: ModelConfiguration, head kind: ModelHead = .languageModel) {
    var builder = LayoutBuilder()
    embedding = builder.add("model.embed_tokens.weight", [c.vocabularySize, c.hiddenSize])
    layers = (0..<c.layerCount).map { builder.addLayer("model.layers.\($0).", c) }
    finalNorm = builder.add("model.norm.weight", [c.hiddenSize])
    switch kind {
    case .languageModel, .languageModelWithValue:
      head = c.tiesEmbeddings ? embedding : builder.add("lm_head.weight", [c.vocabularySize, c.hiddenSize])
    case .score: head = nil
    }
    switch kind {
    case .languageModel: (scalarWeight, scalarBias) = (nil, nil)
    case .languageModelWithValue:
      scalarWeight = builder.add("\(Self.valueHead)weight", [1, c.hiddenSize])
      scalarBias = builder.add("\(Self.valueHead)bias", [1])
    case .score: (scalarWeight, scalarBias) = (builder.add(Self.scoreHead, [1, c.hiddenSize]), nil)
    }
    tensors = builder.tensors
    count = builder.count
  }

  /// All tensors of a layer.
  func range(ofLayer layer: Int) -> Range<Int> {
    let next = layer + 1 < layers.count ? layers[layer + 1].inputNorm : finalNorm
    return layers[layer].inputNorm.lowerBound..<next.lowerBound
  }

  /// The head that gives scores or values.
  var scalarHead: Range<Int>? {
    scalarWeight.map { $0.lowerBound..<(scalarBias ?? $0).upperBound }
  }

  /// Whether the output embedding is the input embedding.
  var tiesEmbeddings: Bool { head == embedding }

  /// Whether completions are scored as a whole.
  package var isScoring: Bool { head == nil }

  /// Names of the heads' tensors: that of transformers' sequence classification, and the value head's prefix.
  package static let scoreHead = "score.weight"
  package static let valueHead = "v_head."
}

private struct LayoutBuilder {
  var tensors: [TensorSpecification] = []
  var count = 0

  mutating func add(_ name: String, _ shape: [Int]) -> Range<Int> {
    let range = count..<count + shape.reduce(1, *)
    tensors.append(TensorSpecification(name: name, shape: shape, range: range))
    count = range.upperBound
    return range
  }

  /// Several tensors as one range.
  mutating func addAdjacent(_ entries: [(String, [Int])]) -> Range<Int> {
    let start = count
    for (name, shape) in entries { _ = add(name, shape) }
    return start..<count
  }

  mutating func addLayer(_ prefix: String, _ c: ModelConfiguration) -> ParameterLayout.Layer {
    let projections = [("q", c.queryWidth), ("k", c.keyValueWidth), ("v", c.keyValueWidth)]
    let gates = [("gate", c.intermediateSize), ("up", c.intermediateSize)]
    let attention = { (name: String) in "\(prefix)self_attn.\(name)" }
    let feedForward = { (name: String) in "\(prefix)mlp.\(name)" }
    return ParameterLayout.Layer(
      inputNorm: add("\(prefix)input_layernorm.weight", [c.hiddenSize]),
      queryKeyValue: addAdjacent(projections.map { (attention("\($0)_proj.weight"), [$1, c.hiddenSize]) }),
      queryKeyValueBias: c.hasQueryKeyValueBias
        ? addAdjacent(projections.map { (attention("\($0)_proj.bias"), [$1]) }) : nil,
      queryNorm: c.normalizesQueryKey ? add(attention("q_norm.weight"), [c.headDimension]) : nil,
      keyNorm: c.normalizesQueryKey ? add(attention("k_norm.weight"), [c.headDimension]) : nil,
      output: add(attention("o_proj.weight"), [c.hiddenSize, c.queryWidth]),
      outputBias: c.hasOutputBias ? add(attention("o_proj.bias"), [c.hiddenSize]) : nil,
      feedForwardNorm: add("\(prefix)post_attention_layernorm.weight", [c.hiddenSize]),
      gateUp: addAdjacent(gates.map { (feedForward("\($0)_proj.weight"), [$1, c.hiddenSize]) }),
      gateUpBias: c.hasFeedForwardBias ? addAdjacent(gates.map { (feedForward("\($0)_proj.bias"), [$1]) }) : nil,
      down: add(feedForward("down_proj.weight"), [c.hiddenSize, c.intermediateSize]),
      downBias: c.hasFeedForwardBias ? add(feedForward("down_proj.bias"), [c.hiddenSize]) : nil)
  }
}
