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

  /// Weights of the reference: those held live, or the model without adapters.
  var referenceOrBase: FloatBuffer {
    guard let weights = reference ?? base else { preconditionFailure("there is no live reference") }
    return weights
  }

  /// Takes the model's weights as they were loaded, and adapters that change nothing yet.
  ///
  /// - Parameters:
  ///   - load: fills an arena with the weights of the model.
  package func begin(_ layout: ParameterLayout, seed: UInt64, _ load: (FloatView) throws -> Void) rethrows {
    guard let base else { return try load(model.view) }
    try load(base.view)
    model.view.base.update(from: base.view.base, count: base.count)
    parameters.initialize(trained.view, from: base.view, layout, seed: seed)
    refresh()
  }

  /// Brings the model's weights up to date with the trained parameters.
  func refresh() {
    guard let base else { return }
    parameters.merge(trained.view, base: base.view, into: model.view)
  }
}

extension TrainedParameters {
  /// A uniform in ±1/√inputs, B zero (PEFT's default); whole tensors as the model has them.
  fileprivate func initialize(_ values: FloatView, from base: FloatView, _ layout: ParameterLayout, seed: UInt64) {
    for (index, adapter) in adapters.enumerated() {
      let stream = RandomStream(seed: seed, purpose: .initialization, index, 1)
      let bound = 1 / Double(adapter.inputs).squareRoot()
      for i in 0..<adapter.a.count { values[adapter.a].base[i] = Float((2 * stream.uniform(at: i) - 1) * bound) }
      for i in 0..<adapter.b.count { values[adapter.b].base[i] = 0 }
    }
    for tensor in tensors {
      guard let own = layout.tensors.first(where: { $0.name == tensor.name }) else { continue }
      for i in 0..<own.range.count { values[tensor.range].base[i] = base[own.range].base[i] }
    }
  }
}
