import AlignmentCore
import Collectives
import Transformer

/// The weights that a trainer moves, and those that the model computes with.
///
/// Where all parameters are trained they are the same arena. With adapters the model computes with base + adapters, merged
/// once for each step. Other ranks' parameters may come while the next step has begun; who asks for ``trained`` or
/// ``model`` gets them complete, and only the step itself, which waits for one layer after the other, reads the arenas.
package final class ModelWeights {
  /// The trained parameters, whether they are here or not.
  let trainedArena: FloatBuffer
  /// The model's weights, likewise.
  let modelArena: FloatBuffer
  /// What brings parameters of other ranks.
  var arrival: (any ParameterArrival)?
  /// The model without adapters; nil where all parameters are trained.
  let base: FloatBuffer?
  /// The reference, where one is needed live; it can be written to only where it moves.
  package let reference: FloatBuffer?
  private let parameters: TrainedParameters
  private let frozenBase: FrozenWeights?
  private let frozenReference: FrozenWeights?

  /// - Parameters:
  ///   - referenceMoves: whether it changes with the steps, so that each rank needs its own.
  init(
    _ model: LanguageModel, needsReference: Bool, referenceMoves: Bool, over communicator: any Communicator
  ) throws {
    parameters = model.trained
    trainedArena = try FloatBuffer(count: parameters.count, purpose: "parameters")
    let count = model.layout.count
    modelArena = parameters.isComplete ? trainedArena : try FloatBuffer(count: count, purpose: "merged weights")
    frozenBase =
      parameters.isComplete ? nil : try FrozenWeights(count: count, purpose: "base weights", over: communicator)
    base = frozenBase?.buffer
    let purpose = "reference weights"
    frozenReference =
      needsReference && !referenceMoves ? try FrozenWeights(count: count, purpose: purpose, over: communicator) : nil
    reference =
      try frozenReference?.buffer ?? (needsReference ? FloatBuffer(count: count, purpose: purpose) : nil)
  }

  /// The trained parameters: what optimiser, checkpoints and exchange between ranks deal with.
  package var trained: FloatBuffer {
    arrival?.wait(for: 0..<trainedArena.count)
    return trainedArena
  }

  /// The model's weights.
  package var model: FloatBuffer {
    arrival?.wait(for: 0..<trainedArena.count)
    return modelArena
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
  package func begin(_ layout: ParameterLayout, seed: UInt64, _ load: (FloatView) throws -> Void) throws {
    guard let base, let frozenBase else { return try load(model.view) }
    try frozenBase.fill(load)
    model.view.base.update(from: base.view.base, count: base.count)
    parameters.initialize(trained.view, from: base.view, layout, seed: seed)
    refresh()
  }

  /// Takes the weights of the reference, where one is needed live.
  func beginReference(_ load: (FloatView) throws -> Void) throws {
    if let frozenReference { return try frozenReference.fill(load) }
    if let reference { try load(reference.view) }
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
