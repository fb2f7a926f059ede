import AlignmentCore
import Kernels

/// The stack of decoder layers between token ids and normalised hidden states, forward and backward.
///
/// Pre-norm blocks: x ← x + Attention(norm(x)), x ← x + SwiGLU(norm(x)) (Touvron et al. 2023, arXiv 2302.13971, §2.2).
/// Shapes: T tokens of the unit, H hidden, D head dimension, I intermediate.
struct Decoder {
  let configuration: ModelConfiguration
  let layout: ParameterLayout
  let attention: Attention
  let rotary: RotaryTable
  let workspace: ModelWorkspace

  init(_ configuration: ModelConfiguration, layout: ParameterLayout, workspace: ModelWorkspace) throws {
    self.configuration = configuration
    self.layout = layout
    self.workspace = workspace
    attention = Attention(configuration)
    rotary = try RotaryTable(
      configuration.rotary, headDimension: configuration.headDimension, positions: workspace.capacity.sequence)
  }

  /// Fills the workspace from embeddings to the final norm.
  ///
  /// - Parameters:
  ///   - arrival: tells when parameters are here that may still be on their way.
  ///   - decoding: where the unit is a prompt, what takes its keys and values; where it is single tokens, one step of
  ///     decoding behind those.
  /// - Returns: (T, H) normalised hidden states, valid until the next call.
  func forward(
    _ unit: WorkUnit, parameters: FloatView, arrival: (any ParameterArrival)? = nil, decoding: DecodingStage? = nil
  ) -> Matrix {
    let c = configuration
    precondition(unit.tokens.count <= workspace.capacity.tokens, "unit of \(unit.tokens.count) tokens is too large")
    let tokens = unit.tokens.count
    let embedding = Matrix(parameters[layout.embedding], rows: c.vocabularySize, columns: c.hiddenSize)
    arrival?.wait(for: layout.embedding)
    unit.tokens.withUnsafeBufferPointer {
      Elementwise.gatherRows(of: embedding, $0.baseAddress!, into: stream(0, tokens))
    }
    for layer in 0..<c.layerCount {
      arrival?.wait(for: layout.range(ofLayer: layer))
      forward(layer: layer, unit, parameters, decoding)
    }
    arrival?.wait(for: layout.finalNorm)
    let normed = Matrix(workspace.finalNormed, rows: tokens, columns: c.hiddenSize)
    RMSNorm.forward(
      stream(c.layerCount, tokens), weight: parameters[layout.finalNorm].base, epsilon: c.normEpsilon, into: normed,
      inverse: workspace.finalInverse.base)
    return normed
  }

  /// Propagates the gradient of the normalised hidden states down to the embedded tokens.
  ///
  /// - Parameters:
  ///   - dNormed: (T, H)
  ///   - gradients: every tensor is overwritten but the embedding, which is left alone.
  ///   - completed: told the tensors of the model whose gradients are in place.
  /// - Returns: (T, H) gradient of the embedded tokens, valid until the next call.
  func backward(
    _ unit: WorkUnit, parameters: FloatView, dNormed: Matrix, gradients: GradientSink, completed: (Range<Int>) -> Void
  ) -> Matrix {
    let c = configuration
    let tokens = unit.tokens.count
    let dStream = Matrix(workspace.dStream, rows: tokens, columns: c.hiddenSize)
    RMSNorm.backward(
      dy: dNormed, x: stream(c.layerCount, tokens), weight: parameters[layout.finalNorm].base,
      inverse: workspace.finalInverse.base, into: dStream, adding: false, dWeight: gradients.cleared(layout.finalNorm))
    completed(layout.finalNorm)
    for layer in (0..<c.layerCount).reversed() {
      if workspace.isRecomputed(layer: layer) { forward(layer: layer, unit, parameters, nil) }
      backward(layer: layer, unit, parameters, gradients, dStream)
      completed(layout.range(ofLayer: layer))
    }
    return dStream
  }

  private func stream(_ layer: Int, _ tokens: Int) -> Matrix {
    Matrix(workspace.streams[layer], rows: tokens, columns: configuration.hiddenSize)
  }
}

// MARK: - One layer, forward

extension Decoder {
  private func forward(layer: Int, _ unit: WorkUnit, _ parameters: FloatView, _ decoding: DecodingStage?) {
    let part = LayerPass(self, layer, unit, parameters)
    attend(part, decoding)
    feedForward(part, decoding)
  }

  /// middle ← x + Attention(norm(x))
  private func attend(_ p: LayerPass, _ decoding: DecodingStage?) {
    let c = configuration
    RMSNorm.forward(
      p.input, weight: p.weight(p.ranges.inputNorm), epsilon: c.normEpsilon, into: p.normed,
      inverse: p.kept.inputInverse.base)
    let raw = c.normalizesQueryKey ? p.rawProjections : p.projections
    project(p.normed, p.matrix(p.ranges.queryKeyValue, c.hiddenSize), into: raw, decoding)
    if let bias = p.ranges.queryKeyValueBias { Elementwise.addBias(p.weight(bias), to: raw) }
    if c.normalizesQueryKey { normalizeHeads(p) }
    rotate(p.projections, p, inverse: false)
    if case .step(let step) = decoding {
      step.attention.forward(
        layer: p.layer, positions: p.unit.positions, projections: p.projections, into: p.attended, window: p.window)
    } else {
      attention.forward(
        p.unit, projections: p.projections, into: p.attended, logSums: p.kept.logSums, window: p.window,
        scratch: workspace.attentionScratch)
    }
    if case .prompt(let cache) = decoding { cache.fill(layer: p.layer, from: p.projections) }
    Elementwise.copy(p.input, into: p.middle)
    project(p.attended, p.matrix(p.ranges.output, c.queryWidth), into: p.middle, adding: true, decoding)
    if let bias = p.ranges.outputBias { Elementwise.addBias(p.weight(bias), to: p.middle) }
  }

  /// next ← middle + down(SwiGLU(norm(middle)))
  private func feedForward(_ p: LayerPass, _ decoding: DecodingStage?) {
    let c = configuration
    RMSNorm.forward(
      p.middle, weight: p.weight(p.ranges.feedForwardNorm), epsilon: c.normEpsilon, into: p.middleNormed,
      inverse: p.kept.middleInverse.base)
    project(p.middleNormed, p.matrix(p.ranges.gateUp, c.hiddenSize), into: p.gateUp, decoding)
    if let bias = p.ranges.gateUpBias { Elementwise.addBias(p.weight(bias), to: p.gateUp) }
    SwiGLU.forward(gateUp: p.gateUp, into: p.activated)
    let next = stream(p.layer + 1, p.tokens)
    Elementwise.copy(p.middle, into: next)
    project(p.activated, p.matrix(p.ranges.down, c.intermediateSize), into: next, adding: true, decoding)
    if let bias = p.ranges.downBias { Elementwise.addBias(p.weight(bias), to: next) }
  }

  /// y (+)= x Wᵀ
  private func project(
    _ x: Matrix, _ weight: Matrix, into y: Matrix, adding: Bool = false, _ decoding: DecodingStage?
  ) {
    if case .step(let step) = decoding {
      SkinnyProduct.multiply(x, weight, into: y, adding: adding, scratch: step.productScratch.view)
    } else {
      Product.multiply(x, weight.transposed, into: y, keeping: adding ? 1 : 0)
    }
  }

  /// Rotates queries and keys, which lie next to each other, as one run of heads.
  private func rotate(_ projections: Matrix, _ p: LayerPass, inverse: Bool) {
    guard configuration.rotatesLayers[p.layer] else { return }
    let heads = configuration.headCount + configuration.keyValueHeadCount
    p.unit.positions.withUnsafeBufferPointer {
      RotaryEmbedding.rotate(
        projections.columns(0..<heads * configuration.headDimension), heads: heads, positions: $0.baseAddress!,
        cosines: rotary.cosines.base, sines: rotary.sines.base, inverse: inverse)
    }
  }

  /// Normalises each head's queries and keys over D and copies the values.
  private func normalizeHeads(_ p: LayerPass) {
    let c = configuration
    forEachNormedHead(p) { head, weight, inverse, columns in
      RMSNorm.forward(
        p.rawProjections.columns(columns), weight: p.weight(weight), epsilon: c.normEpsilon,
        into: p.projections.columns(columns), inverse: inverse)
    }
    let values = c.queryWidth + c.keyValueWidth..<c.projectionWidth
    Elementwise.copy(p.rawProjections.columns(values), into: p.projections.columns(values))
  }

  private func forEachNormedHead(
    _ p: LayerPass, _ body: (_ head: Int, _ weight: Range<Int>, UnsafeMutablePointer<Float>, Range<Int>) -> Void
  ) {
    guard let queryNorm = p.ranges.queryNorm, let keyNorm = p.ranges.keyNorm else { return }
    let d = configuration.headDimension
    for head in 0..<configuration.headCount + configuration.keyValueHeadCount {
      body(
        head, head < configuration.headCount ? queryNorm : keyNorm, p.kept.headInverse.base + head * p.tokens,
        head * d..<(head + 1) * d)
    }
  }
}

// MARK: - One layer, backward

extension Decoder {
  /// Turns the gradient of the layer's output into that of its input, in place, and writes the layer's gradients.
  private func backward(
    layer: Int, _ unit: WorkUnit, _ parameters: FloatView, _ gradients: GradientSink, _ dStream: Matrix
  ) {
    let part = LayerPass(self, layer, unit, parameters)
    backwardFeedForward(part, gradients, dStream)
    backwardAttention(part, gradients, dStream)
  }

  private func backwardFeedForward(_ p: LayerPass, _ gradients: GradientSink, _ dStream: Matrix) {
    let c = configuration
    let dActivated = Matrix(workspace.dWide, rows: p.tokens, columns: c.intermediateSize)
    let dNormed = Matrix(workspace.dNormed, rows: p.tokens, columns: c.hiddenSize)
    linearBackward(
      dy: dStream, x: p.activated, p, weight: p.ranges.down, bias: p.ranges.downBias, gradients, into: dActivated)
    SwiGLU.backward(dy: dActivated, gateUp: p.gateUp)
    linearBackward(
      dy: p.gateUp, x: p.middleNormed, p, weight: p.ranges.gateUp, bias: p.ranges.gateUpBias, gradients, into: dNormed)
    RMSNorm.backward(
      dy: dNormed, x: p.middle, weight: p.weight(p.ranges.feedForwardNorm), inverse: p.kept.middleInverse.base,
      into: dStream, adding: true, dWeight: gradients.cleared(p.ranges.feedForwardNorm))
  }

  private func backwardAttention(_ p: LayerPass, _ gradients: GradientSink, _ dStream: Matrix) {
    let c = configuration
    let dAttended = Matrix(workspace.dWide, rows: p.tokens, columns: c.queryWidth)
    let dProjections = Matrix(workspace.dProjections, rows: p.tokens, columns: c.projectionWidth)
    let dNormed = Matrix(workspace.dNormed, rows: p.tokens, columns: c.hiddenSize)
    linearBackward(
      dy: dStream, x: p.attended, p, weight: p.ranges.output, bias: p.ranges.outputBias, gradients, into: dAttended)
    attention.backward(
      p.unit, projections: p.projections, output: p.attended, logSums: p.kept.logSums, dOutput: dAttended,
      dProjections: dProjections, window: p.window, scratch: workspace.attentionScratch)
    rotate(dProjections, p, inverse: true)
    if c.normalizesQueryKey { backwardHeadNorms(p, gradients, dProjections) }
    linearBackward(
      dy: dProjections, x: p.normed, p, weight: p.ranges.queryKeyValue, bias: p.ranges.queryKeyValueBias, gradients,
      into: dNormed)
    RMSNorm.backward(
      dy: dNormed, x: p.input, weight: p.weight(p.ranges.inputNorm), inverse: p.kept.inputInverse.base, into: dStream,
      adding: true, dWeight: gradients.cleared(p.ranges.inputNorm))
  }

  /// For y = x Wᵀ + b: dx = dy W, dW = dyᵀ x, db = Σ dy.
  private func linearBackward(
    dy: Matrix, x: Matrix, _ p: LayerPass, weight: Range<Int>, bias: Range<Int>?, _ gradients: GradientSink,
    into dx: Matrix
  ) {
    Product.multiply(dy, p.matrix(weight, x.columns), into: dx)
    gradients.addLinear(dy: dy, x: x, weight: weight)
    if let bias { gradients.addBias(dy: dy, bias: bias) }
  }

  private func backwardHeadNorms(_ p: LayerPass, _ gradients: GradientSink, _ dProjections: Matrix) {
    if let norm = p.ranges.queryNorm { _ = gradients.cleared(norm) }
    if let norm = p.ranges.keyNorm { _ = gradients.cleared(norm) }
    forEachNormedHead(p) { head, weight, inverse, columns in
      let gradient = dProjections.columns(columns)
      RMSNorm.backward(
        dy: gradient, x: p.rawProjections.columns(columns), weight: p.weight(weight), inverse: inverse,
        into: gradient, adding: false, dWeight: gradients.vector(weight))
    }
  }
}

/// One layer's parameters and activations as matrices of the right shape.
private struct LayerPass {
  let layer: Int
  let unit: WorkUnit
  let parameters: FloatView
  let ranges: ParameterLayout.Layer
  let kept: LayerActivations
  let window: Int
  let tokens: Int
  private let configuration: ModelConfiguration
  /// (T, H) input of the layer
  let input: Matrix

  init(_ decoder: Decoder, _ layer: Int, _ unit: WorkUnit, _ parameters: FloatView) {
    self.layer = layer
    self.unit = unit
    self.parameters = parameters
    configuration = decoder.configuration
    ranges = decoder.layout.layers[layer]
    kept = decoder.workspace.activations(ofLayer: layer)
    window = configuration.attentionWindows[layer]
    tokens = unit.tokens.count
    input = Matrix(decoder.workspace.streams[layer], rows: tokens, columns: configuration.hiddenSize)
  }

  var normed: Matrix { Matrix(kept.normed, rows: tokens, columns: configuration.hiddenSize) }
  var rawProjections: Matrix { Matrix(kept.rawProjections, rows: tokens, columns: configuration.projectionWidth) }
  var projections: Matrix { Matrix(kept.projections, rows: tokens, columns: configuration.projectionWidth) }
  var attended: Matrix { Matrix(kept.attended, rows: tokens, columns: configuration.queryWidth) }
  var middle: Matrix { Matrix(kept.middle, rows: tokens, columns: configuration.hiddenSize) }
  var middleNormed: Matrix { Matrix(kept.middleNormed, rows: tokens, columns: configuration.hiddenSize) }
  var gateUp: Matrix { Matrix(kept.gateUp, rows: tokens, columns: 2 * configuration.intermediateSize) }
  var activated: Matrix { Matrix(kept.activated, rows: tokens, columns: configuration.intermediateSize) }

  func weight(_ range: Range<Int>) -> UnsafeMutablePointer<Float> { parameters[range].base }

  /// A weight matrix (out, in) with `columns` inputs.
  func matrix(_ range: Range<Int>, _ columns: Int) -> Matrix {
    Matrix(parameters[range], rows: range.count / columns, columns: columns)
  }
}
