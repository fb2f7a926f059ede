import AlignmentCore
import Transformer

/// The weights that a trainer moves, and those that the model computes with.
///
/// Where all parameters are trained they are the same arena. With adapters the model computes with base + adapters, merged
/// once for each step.
package final class ModelWeights {
  /// The trained parameters: what optimiser, checkpoints and exchange between ranks deal with.
  package let trained: FloatBuffer
  /// The model's weights.
  package let model: FloatBuffer
  /// The model without adapters; nil where all parameters are trained.
  let base: FloatBuffer?
  /// The reference, where one is needed live.
  package let reference: FloatBuffer?
  private let parameters: TrainedParameters

  init(_ model: LanguageModel, needsReference: Bool) throws {
    parameters = model.trained
    trained = try FloatBuffer(count: parameters.count, purpose: "parameters")
    let count = model.layout.count
    self.model = parameters.isComplete ? trained : try FloatBuffer(count: count, purpose: "merged weights")
    base = parameters.isComplete ? nil : try FloatBuffer(count: count, purpose: "base weights")
    reference = needsReference ? try FloatBuffer(count: count, purpose: "reference weights") : nil
  }

  /// Brings the model's weights up to date with the trained parameters.
  func refresh() {
    guard let base else { return }
    parameters.merge(trained.view, base: base.view, into: model.view)
  }
}
