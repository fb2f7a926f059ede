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

/// A decoder with a language-model head: log-probabilities of the completions of a unit, and their gradient.
///
/// Holds no parameters; they are passed in with each call, so that one model serves policy and reference.
package final class LanguageModel {
  package let configuration: ModelConfiguration
  package let layout: ParameterLayout
  package let capacity: UnitCapacity
  private let decoder: Decoder
  private let head: LanguageModelHead
  /// (T, H) gradient of the normalised hidden states
  private let dHidden: FloatBuffer

  /// Allocates all memory for units up to a capacity.
  ///
  /// - Parameters:
  ///   - trains: whether ``differentiate`` will be called.
  /// - Throws: ``Fault`` if memory does not suffice.
  package init(
    _ configuration: ModelConfiguration, capacity: UnitCapacity, trains: Bool, budget: MemoryBudget = MemoryBudget()
  ) throws {
    self.configuration = configuration
    self.capacity = capacity
    layout = ParameterLayout(configuration)
    let workspace = try ModelWorkspace(
      configuration, capacity: capacity, trains: trains, budget: budget.activations)
    decoder = try Decoder(configuration, layout: layout, workspace: workspace)
    head = try LanguageModelHead(configuration, range: layout.head, capacity: capacity, budget: budget.logits)
    dHidden = try FloatBuffer(
      count: trains ? capacity.tokens * configuration.hiddenSize : 0, purpose: "hidden-state gradients")
  }

  /// (R) log-probability of each completion token of the unit computed last, in nats.
  package var tokenLogProbabilities: UnsafeMutableBufferPointer<Double> { head.logProbabilities }

  /// (R) where an objective writes the derivative of the loss with respect to each token's log-probability.
  package var tokenDerivatives: FloatView { head.derivatives.view }

  /// Sum of the log-probabilities of a completion's tokens.
  package func logProbability(of completion: CompletionSpan) -> Double {
    var sum = 0.0
    for row in completion.rows { sum += head.logProbabilities[row] }
    return sum
  }

  /// Computes ``tokenLogProbabilities`` of a unit.
  package func score(_ unit: WorkUnit, parameters: FloatView) {
    let hidden = decoder.forward(unit, parameters: parameters)
    head.score(unit, hidden: hidden, parameters: parameters)
  }

  /// Computes ``tokenLogProbabilities`` of a unit and the gradient of the loss that `objective` defines on them.
  ///
  /// - Parameters:
  ///   - gradients: an arena with the layout of the parameters, overwritten.
  ///   - objective: called for each group, with its rows of ``tokenLogProbabilities`` known; writes its rows of
  ///     ``tokenDerivatives``.
  package func differentiate(
    _ unit: WorkUnit, parameters: FloatView, gradients: FloatView, objective: (GroupSpan) -> Void
  ) {
    let hidden = decoder.forward(unit, parameters: parameters)
    let dNormed = Matrix(dHidden.view, rows: unit.tokens.count, columns: configuration.hiddenSize)
    if layout.head != layout.embedding { Elementwise.clear(gradients[layout.embedding]) }
    head.scoreAndDifferentiate(
      unit, hidden: hidden, parameters: parameters, gradients: gradients, dHidden: dNormed, objective: objective)
    decoder.backward(unit, parameters: parameters, dNormed: dNormed, gradients: gradients)
  }
}
