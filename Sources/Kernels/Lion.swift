import AlignmentCore
import CSIMD

/// One Lion update over flat memory (Chen et al. 2023, arXiv 2302.06675, algorithm 2).
package enum LionKernel {
  /// What an update needs beside its arrays.
  package struct Step {
    /// Learning rate of this step, schedule included.
    package var learningRate: Float
    /// Share of the momentum in the direction of the update.
    package var beta1: Double
    /// Share of the momentum that is kept.
    package var beta2: Double
    /// Decoupled: the parameter shrinks by learningRate · weightDecay.
    package var weightDecay: Float
    /// Factor on the gradient: gradient clipping.
    package var gradientScale: Float

    package init(learningRate: Float, beta1: Double, beta2: Double, weightDecay: Float, gradientScale: Float) {
      self.learningRate = learningRate
      self.beta1 = beta1
      self.beta2 = beta2
      self.weightDecay = weightDecay
      self.gradientScale = gradientScale
    }
  }

  /// Updates parameters and momentum in place; all views have the same length.
  package static func update(parameters: FloatView, gradients: FloatView, momentum: FloatView, _ step: Step) {
    let decay = Vector(repeating: 1 - step.learningRate * step.weightDecay)
    let descent = Vector(repeating: -step.learningRate)
    // 1 − β in Float64: in Float32 it would lose digits to cancellation.
    let (beta1, beta2) = (Vector(repeating: Float(step.beta1)), Vector(repeating: Float(step.beta2)))
    let (rest1, rest2) = (Vector(repeating: Float(1 - step.beta1)), Vector(repeating: Float(1 - step.beta2)))
    forEachVector(in: parameters.count) { i, lanes in
      let g = load(gradients.base + i, lanes) * step.gradientScale
      let m = load(momentum.base + i, lanes)
      let direction = simd_sign(simd_fma(m, beta1, g * rest1))
      let p = simd_fma(load(parameters.base + i, lanes), decay, descent * direction)
      store(simd_fma(m, beta2, g * rest2), momentum.base + i, lanes)
      store(p, parameters.base + i, lanes)
    }
  }
}
