import AlignmentCore
import Kernels

/// How much memory a model may use beside its parameters and gradients.
package struct MemoryBudget: Sendable, Equatable {
  /// Bytes for the activations that layers keep for their backward pass; what does not fit is computed twice.
  package var activations: Int
  /// Bytes for the logits that the head keeps between forward and backward.
  package var logits: Int

  package init(activations: Int = 1 << 30, logits: Int = 1 << 27) {
    self.activations = activations
    self.logits = logits
  }
}

/// A decoder with its head: log-probabilities, values or scores of the completions of a unit, and their gradient.
///
/// Holds no parameters; they are passed in with each call, so that one model serves policy and reference.
package final class LanguageModel {
  package let configuration: ModelConfiguration
  package let head: ModelHead
  package let layout: ParameterLayout
  package let trained: TrainedParameters
  package let capacity: UnitCapacity
  /// Asked before parameters are read, where they may still be on their way.
  package var arrival: (any ParameterArrival)?
  /// Whether the gradient of values stops at the hidden states.
  private let detachesValues: Bool
  private let decoder: Decoder
  private let vocabularyHead: LanguageModelHead?
  private let scalarHead: ScalarHead?
  /// (T, H) gradient of the normalised hidden states
  private let dHidden: FloatBuffer
  private let adapterScratch: FloatBuffer

  /// Allocates all memory for units up to a capacity.
  ///
  /// - Parameters:
  ///   - trained: what ``differentiate`` gives gradients of; nil if it will not be called.
  ///   - detachesValues: whether the gradient of the value head stops there.
  ///   - entropyOrder: which entropy of each token's distribution is wanted beside its log-probability, if any.
  /// - Throws: ``Fault`` if memory does not suffice.
  package init(
    _ configuration: ModelConfiguration, head: ModelHead = .languageModel, capacity: UnitCapacity,
    trained: TrainedParameters?, detachesValues: Bool = false, entropyOrder: RenyiOrder? = nil,
    budget: MemoryBudget = MemoryBudget()
  ) throws {
    self.configuration = configuration
    self.head = head
    self.capacity = capacity
    self.detachesValues = detachesValues
    let layout = ParameterLayout(configuration, head: head)
    self.layout = layout
    self.trained = trained ?? TrainedParameters(all: layout)
    let workspace = try ModelWorkspace(
      configuration, capacity: capacity, trains: trained != nil, budget: budget.activations)
    decoder = try Decoder(configuration, layout: layout, workspace: workspace)
    vocabularyHead = try layout.head.map {
      try LanguageModelHead(
        configuration, range: $0, capacity: capacity, budget: budget.logits, entropyOrder: entropyOrder)
    }
    scalarHead = try layout.scalarWeight.map {
      try ScalarHead(
        weight: $0, bias: layout.scalarBias, hiddenSize: configuration.hiddenSize, rows: capacity.predictions)
    }
    dHidden = try FloatBuffer(
      count: trained == nil ? 0 : capacity.tokens * configuration.hiddenSize, purpose: "hidden-state gradients")
    adapterScratch = try FloatBuffer(
      count: max(capacity.tokens * self.trained.largestRank, configuration.projectionWidth, configuration.hiddenSize),
      purpose: "adapter scratch")
  }

  /// (R) log-probability of each completion token of the unit computed last, in nats.
  package var tokenLogProbabilities: UnsafeMutableBufferPointer<Double> {
    vocabularyHead?.logProbabilities ?? UnsafeMutableBufferPointer(start: nil, count: 0)
  }

  /// (R) entropy of the distribution that each completion token of the unit computed last is predicted from, in nats;
  /// empty where none was asked for.
  package var tokenEntropies: UnsafeMutableBufferPointer<Double> {
    vocabularyHead?.entropies ?? UnsafeMutableBufferPointer(start: nil, count: 0)
  }

  /// (H) normalised hidden state of a token of the unit computed last; valid until the next one.
  package func hiddenState(ofToken token: Int) -> UnsafeBufferPointer<Float> {
    precondition(token >= 0 && token < capacity.tokens, "token \(token) of at most \(capacity.tokens)")
    let width = configuration.hiddenSize
    return UnsafeBufferPointer(start: decoder.workspace.finalNormed.base + token * width, count: width)
  }

  /// (R) where an objective writes the derivative of the loss with respect to each token's log-probability.
  package var tokenDerivatives: FloatView { required(vocabularyHead).derivatives.view }

  /// (R) the value of the state before each completion token, or the score of each completion.
  package var scalars: UnsafeMutableBufferPointer<Double> { required(scalarHead).values }

  /// (R) where an objective writes the derivative of the loss with respect to each of ``scalars``.
  package var scalarDerivatives: FloatView { required(scalarHead).derivatives.view }

  private func required<Head>(_ head: Head?) -> Head {
    guard let head else { preconditionFailure("a model with the head \(self.head) has none of that kind") }
    return head
  }

  /// Sum of the log-probabilities of a completion's tokens; of a model that scores, the completion's score.
  package func output(of completion: CompletionSpan) -> Double {
    guard let vocabularyHead else { return scalars[completion.rows.lowerBound] }
    var sum = 0.0
    for row in completion.rows { sum += vocabularyHead.logProbabilities[row] }
    return sum
  }

  /// Sum of the entropies of the distributions that a completion's tokens are predicted from; 0 where none was asked for.
  package func entropy(of completion: CompletionSpan) -> Double {
    guard let entropies = vocabularyHead?.entropies, !entropies.isEmpty else { return 0 }
    var sum = 0.0
    for row in completion.rows { sum += entropies[row] }
    return sum
  }

  /// The decoder checks the tokens.
  private func checkRoom(for unit: WorkUnit) {
    precondition(
      unit.targets.count <= capacity.predictions,
      "unit of \(unit.targets.count) predictions, and there is room for \(capacity.predictions)")
  }

  /// Computes what the heads say of a unit.
  package func score(_ unit: WorkUnit, parameters: FloatView) {
    checkRoom(for: unit)
    let hidden = forward(unit, parameters)
    vocabularyHead?.score(unit, hidden: hidden, parameters: parameters)
    scalarHead?.forward(unit, hidden: hidden, parameters: parameters)
  }

  /// (T, H) normalised hidden states.
  private func forward(_ unit: WorkUnit, _ parameters: FloatView) -> Matrix {
    let hidden = decoder.forward(unit, parameters: parameters, arrival: arrival)
    arrival?.wait(for: layout.finalNorm.lowerBound..<layout.count)
    return hidden
  }

  /// Computes what the heads say of a unit and the gradient of the loss that `objective` defines on it.
  ///
  /// - Parameters:
  ///   - parameters: the model's weights, adapters merged.
  ///   - values: the trained parameters; the same arena where all are trained.
  ///   - gradients: an arena with the layout of the trained parameters, overwritten.
  ///   - rows: take what tokens contribute to the gradient of their embedding. `gradients` then has the output
  ///     embedding's part, or keeps what it has there if that is another table.
  ///   - completed: told each range of `gradients` when it is in place, in the order of ``completionOrder(rows:)``.
  ///   - objective: called for each group when its rows are known; writes its rows of ``tokenDerivatives`` and
  ///     ``scalarDerivatives``.
  package func differentiate(
    _ unit: WorkUnit, parameters: FloatView, values: FloatView, gradients: FloatView, rows: EmbeddingRows? = nil,
    completed: (Range<Int>) -> Void = { _ in }, objective: (GroupSpan) -> Void
  ) {
    checkRoom(for: unit)
    let sink = GradientSink(trained: trained, gradients: gradients, values: values, scratch: adapterScratch.view)
    let hidden = forward(unit, parameters)
    let dNormed = Matrix(dHidden.view, rows: unit.tokens.count, columns: configuration.hiddenSize)
    scalarHead?.forward(unit, hidden: hidden, parameters: parameters)
    if let vocabularyHead {
      vocabularyHead.scoreAndDifferentiate(
        unit, hidden: hidden, parameters: parameters, gradients: sink, dHidden: dNormed, objective: objective)
    } else {
      Elementwise.clear(FloatView(base: dNormed.base, count: dNormed.rows * dNormed.stride))
      for group in unit.groups { objective(group) }
    }
    if let head = layout.head, rows != nil || !layout.tiesEmbeddings { completed(trained.span(of: head)) }
    scalarHead?.backward(
      unit, hidden: hidden, parameters: parameters, dHidden: detachesValues ? nil : dNormed, into: sink)
    if let head = layout.scalarHead { completed(trained.span(of: head)) }
    let dEmbedded = decoder.backward(unit, parameters: parameters, dNormed: dNormed, gradients: sink) {
      completed(trained.span(of: $0))
    }
    if let rows { return rows.collect(unit, dEmbedded) }
    scatter(dEmbedded, of: unit, into: sink)
    completed(trained.span(of: layout.embedding))
  }

  /// Adds the gradients of embedded tokens to that of their table.
  private func scatter(_ dEmbedded: Matrix, of unit: WorkUnit, into sink: GradientSink) {
    guard let table = sink.range(layout.embedding) else { return }
    if !layout.tiesEmbeddings { Elementwise.clear(table) }
    unit.tokens.withUnsafeBufferPointer {
      Elementwise.scatterAddRows(
        of: dEmbedded, $0.baseAddress!,
        into: Matrix(table, rows: configuration.vocabularySize, columns: configuration.hiddenSize))
    }
  }
}

// MARK: - The order of gradients

extension LanguageModel {
  /// Memory for the gradient of the embedding, or nil if that is not trained.
  package func makeEmbeddingRows() throws -> EmbeddingRows? {
    try trained.range(of: layout.embedding).map {
      try EmbeddingRows(table: $0, configuration, unitTokens: capacity.tokens)
    }
  }

  /// The range of trained parameters whose gradient is nothing but rows; empty if there is none.
  package func sparseRange(rows: EmbeddingRows?) -> Range<Int> {
    layout.tiesEmbeddings ? 0..<0 : rows?.table ?? 0..<0
  }

  /// All ranges of trained parameters in the order in which their gradients are in place, what is nothing but rows first.
  package func completionOrder(rows: EmbeddingRows?) -> [Range<Int>] {
    let isDense = rows == nil
    let head = layout.head.flatMap { isDense && layout.tiesEmbeddings ? nil : $0 }
    let layers = layout.layers.indices.reversed().map { layout.range(ofLayer: $0) }
    let dense = ([head, layout.scalarHead, layout.finalNorm].compactMap { $0 } + layers).map { trained.span(of: $0) }
    return [sparseRange(rows: rows)] + dense + (isDense ? [trained.span(of: layout.embedding)] : [])
  }
}
