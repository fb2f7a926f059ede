import AlignmentCore
import Kernels

/// A low-rank addition to a weight matrix: W + s·B·A (Hu et al. 2021, arXiv 2106.09685, eq. 3).
package struct LowRankAdapter: Sendable, Equatable {
  /// Name of the adapted tensor.
  package let tensor: String
  /// The adapted matrix (out, in) in the arena of the model.
  package let target: Range<Int>
  package let outputs: Int
  package let inputs: Int
  package let rank: Int
  /// s
  package let scale: Float
  /// A (rank, in) and B (out, rank) in the arena of trained parameters.
  package let a: Range<Int>
  package let b: Range<Int>
}

/// What an adapter is to be made of.
package struct AdapterSpecification: Sendable, Equatable {
  package var tensor: String
  package var rank: Int
  package var scale: Double

  package init(tensor: String, rank: Int, scale: Double) {
    self.tensor = tensor
    self.rank = rank
    self.scale = scale
  }
}

/// The parameters that are trained, in an arena of their own: all of a model's, or adapters and a few whole tensors.
package struct TrainedParameters: Sendable {
  /// The trained tensors in the order of their arena. An adapter's are named after its tensor: `….lora_A`, `….lora_B`.
  package let tensors: [TensorSpecification]
  /// Floats in the arena.
  package let count: Int
  package let adapters: [LowRankAdapter]
  /// Whether every parameter of the model is trained; then the arena is the model's.
  package let isComplete: Bool
  /// Trained ranges of whole tensors, by where the tensor begins in the model.
  private let whole: [Int: Range<Int>]
  private let modelTensors: [TensorSpecification]
  /// What of the arena belongs to each tensor of the model; empty for tensors that stay as they are.
  private let spans: [Range<Int>]
  private let adaptersByStart: [Int: LowRankAdapter]

  /// All parameters of a model.
  package init(all layout: ParameterLayout) {
    tensors = layout.tensors
    count = layout.count
    adapters = []
    isComplete = true
    whole = [:]
    modelTensors = layout.tensors
    spans = layout.tensors.map(\.range)
    adaptersByStart = [:]
  }

  /// Adapters and some whole tensors.
  ///
  /// - Parameters:
  ///   - specifications: at most one for each matrix of the model.
  ///   - names: tensors that are trained as they are.
  package init(_ layout: ParameterLayout, adapters specifications: [AdapterSpecification], whole names: Set<String>) {
    var (tensors, adapters, whole, count) = ([TensorSpecification](), [LowRankAdapter](), [Int: Range<Int>](), 0)
    func add(_ name: String, _ shape: [Int]) -> Range<Int> {
      let range = count..<count + shape.reduce(1, *)
      tensors.append(TensorSpecification(name: name, shape: shape, range: range))
      count = range.upperBound
      return range
    }
    var spans: [Range<Int>] = []
    for tensor in layout.tensors {
      let start = count
      defer { spans.append(start..<count) }
      if names.contains(tensor.name) { whole[tensor.range.lowerBound] = add(tensor.name, tensor.shape) }
      guard let wanted = specifications.first(where: { $0.tensor == tensor.name }) else { continue }
      precondition(tensor.isMatrix, "\(tensor.name) is no matrix")
      adapters.append(
        LowRankAdapter(
          tensor: tensor.name, target: tensor.range, outputs: tensor.shape[0], inputs: tensor.shape[1],
          rank: wanted.rank, scale: Float(wanted.scale),
          a: add("\(tensor.name).lora_A", [wanted.rank, tensor.shape[1]]),
          b: add("\(tensor.name).lora_B", [tensor.shape[0], wanted.rank])))
    }
    self.tensors = tensors
    self.count = count
    self.adapters = adapters
    self.whole = whole
    isComplete = false
    modelTensors = layout.tensors
    self.spans = spans
    adaptersByStart = Dictionary(uniqueKeysWithValues: adapters.map { ($0.target.lowerBound, $0) })
  }

  /// Where the gradient of a tensor of the model goes, or of several adjacent ones, if they are trained whole and are as
  /// adjacent here.
  func range(of model: Range<Int>) -> Range<Int>? {
    if isComplete { return model }
    guard let first = whole[model.lowerBound], first.count == model.count else { return nil }
    return first
  }

  /// What is trained of some adjacent tensors of the model: the whole tensors among them, and adapters.
  func span(of model: Range<Int>) -> Range<Int> {
    if isComplete { return model }
    var (start, end) = (Int.max, 0)
    for (tensor, span) in zip(modelTensors, spans) where model.contains(tensor.range.lowerBound) {
      (start, end) = (min(start, span.lowerBound), max(end, span.upperBound))
    }
    return start < end ? start..<end : 0..<0
  }

  /// The adapter of the tensor that begins at a place of the model's arena.
  func adapter(at start: Int) -> LowRankAdapter? { adaptersByStart[start] }

  /// Rank of the widest adapter.
  var largestRank: Int { adapters.reduce(0) { max($0, $1.rank) } }

  /// weights ← base with every adapter added and every whole tensor replaced; other weights are left alone.
  package func merge(_ trained: FloatView, base: FloatView, into weights: FloatView) {
    for tensor in modelTensors {
      if let range = whole[tensor.range.lowerBound] { copy(trained[range], into: weights[tensor.range]) }
    }
    for adapter in adapters {
      let target = weights[adapter.target]
      copy(base[adapter.target], into: target)
      Product.multiply(
        Matrix(trained[adapter.b], rows: adapter.outputs, columns: adapter.rank),
        Matrix(trained[adapter.a], rows: adapter.rank, columns: adapter.inputs),
        into: Matrix(target, rows: adapter.outputs, columns: adapter.inputs), keeping: 1, scale: adapter.scale)
    }
  }

  private func copy(_ source: FloatView, into target: FloatView) {
    Elementwise.copy(
      Matrix(source, rows: 1, columns: source.count), into: Matrix(target, rows: 1, columns: target.count))
  }
}

/// Where a backward pass puts gradients: those of whole tensors as they come, those of adapted matrices projected on A and B
/// without the matrix's own gradient ever being computed.
struct GradientSink {
  let trained: TrainedParameters
  /// Gradients in the layout of the trained parameters, overwritten.
  let gradients: FloatView
  /// The trained parameters themselves.
  let values: FloatView
  /// Scratch of at least (T, largest rank) and of the longest vector, whose gradient may be unwanted.
  let scratch: FloatView

  /// The gradient of a range that is trained whole.
  func range(_ model: Range<Int>) -> FloatView? { trained.range(of: model).map { gradients[$0] } }

  /// The gradient of a vector; scratch if it is not trained.
  func vector(_ model: Range<Int>) -> UnsafeMutablePointer<Float> { (range(model) ?? scratch[0..<model.count]).base }

  /// The same, cleared.
  func cleared(_ model: Range<Int>) -> UnsafeMutablePointer<Float> {
    let target = vector(model)
    Elementwise.clear(FloatView(base: target, count: model.count))
    return target
  }

  /// Gradients of the tensors in a range of matrices (out, in) that are multiplied together: dW = dyᵀ x.
  ///
  /// - Parameters:
  ///   - dy: (T, out) gradient of the product.
  ///   - x: (T, in) its input.
  func addLinear(dy: Matrix, x: Matrix, weight: Range<Int>) {
    forEachTensor(in: weight, of: dy, inputs: x.columns) { tensor, dy in
      if let target = range(tensor) {
        Product.multiply(dy.transposed, x, into: Matrix(target, rows: dy.columns, columns: x.columns))
      }
      if let adapter = trained.adapter(at: tensor.lowerBound) { project(dy: dy, x: x, adapter) }
    }
  }

  /// Gradients of the biases in a range that are added together: db = Σ dy.
  func addBias(dy: Matrix, bias: Range<Int>) {
    forEachTensor(in: bias, of: dy, inputs: 1) { tensor, dy in
      if let target = range(tensor) { Elementwise.biasGradient(dy, into: target.base) }
    }
  }

  /// The tensors in a range with their own columns of dy; all at once where all parameters are trained.
  @inline(__always)
  private func forEachTensor(
    in range: Range<Int>, of dy: Matrix, inputs: Int, _ body: (_ tensor: Range<Int>, _ dy: Matrix) -> Void
  ) {
    guard !trained.isComplete else { return body(range, dy) }
    var start = range.lowerBound
    var column = 0
    while start < range.upperBound {
      guard let tensor = trained.tensorRange(startingAt: start) else {
        preconditionFailure("no tensor of the model begins at \(start)")
      }
      let outputs = tensor.count / inputs
      body(tensor, dy.columns(column..<column + outputs))
      start = tensor.upperBound
      column += outputs
    }
  }

  /// dB = s·dyᵀ (x Aᵀ), dA = s·(dy B)ᵀ x
  private func project(dy: Matrix, x: Matrix, _ adapter: LowRankAdapter) {
    let a = Matrix(values[adapter.a], rows: adapter.rank, columns: adapter.inputs)
    let b = Matrix(values[adapter.b], rows: adapter.outputs, columns: adapter.rank)
    let narrow = Matrix(scratch, rows: x.rows, columns: adapter.rank)
    Product.multiply(x, a.transposed, into: narrow)
    Product.multiply(
      dy.transposed, narrow, into: Matrix(gradients[adapter.b], rows: adapter.outputs, columns: adapter.rank),
      scale: adapter.scale)
    Product.multiply(dy, b, into: narrow)
    Product.multiply(
      narrow.transposed, x, into: Matrix(gradients[adapter.a], rows: adapter.rank, columns: adapter.inputs),
      scale: adapter.scale)
  }
}

extension TrainedParameters {
  /// The tensor of the model that begins at a place of its arena.
  fileprivate func tensorRange(startingAt start: Int) -> Range<Int>? {
    var (low, high) = (0, modelTensors.count)
    while low < high {
      let middle = (low + high) / 2
      if modelTensors[middle].range.lowerBound < start { low = middle + 1 } else { high = middle }
    }
    guard low < modelTensors.count, modelTensors[low].range.lowerBound == start else { return nil }
    return modelTensors[low].range
  }
}
