import AlignmentCore
import CSIMD

/// One AdamW update over flat memory (Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2).
package enum AdamWKernel {
  /// What an update needs beside its arrays.
  package struct Step {
    /// Learning rate of this step, schedule included.
    package var learningRate: Float
    package var beta1: Double
    package var beta2: Double
    package var epsilon: Float
    /// Decoupled: the parameter shrinks by learningRate · weightDecay.
    package var weightDecay: Float
    /// 1 − β₁ᵗ and √(1 − β₂ᵗ), t counted from 1.
    package var biasCorrection1: Float
    package var biasCorrection2Root: Float
    /// Factor on the gradient: gradient clipping.
    package var gradientScale: Float

    package init(
      learningRate: Float, beta1: Double, beta2: Double, epsilon: Float, weightDecay: Float, biasCorrection1: Float,
      biasCorrection2Root: Float, gradientScale: Float
    ) {
      self.learningRate = learningRate
      self.beta1 = beta1
      self.beta2 = beta2
      self.epsilon = epsilon
      self.weightDecay = weightDecay
      self.biasCorrection1 = biasCorrection1
      self.biasCorrection2Root = biasCorrection2Root
      self.gradientScale = gradientScale
    }
  }

  /// Updates parameters and both moments in place; all views have the same length.
  package static func update(
    parameters: FloatView, gradients: FloatView, firstMoment: FloatView, secondMoment: FloatView, _ step: Step
  ) {
    let decay = Vector(repeating: 1 - step.learningRate * step.weightDecay)
    let rate = Vector(repeating: step.learningRate / step.biasCorrection1)
    let inverseRoot = Vector(repeating: 1 / step.biasCorrection2Root)
    let epsilon = Vector(repeating: step.epsilon)
    // 1 − β in Float64: in Float32 it would lose digits to cancellation.
    let (beta1, beta2) = (Vector(repeating: Float(step.beta1)), Vector(repeating: Float(step.beta2)))
    let (rest1, rest2) = (Vector(repeating: Float(1 - step.beta1)), Vector(repeating: Float(1 - step.beta2)))
    forEachVector(in: parameters.count) { i, lanes in
      let g = load(gradients.base + i, lanes) * step.gradientScale
      let m = simd_fma(load(firstMoment.base + i, lanes), beta1, g * rest1)
      let v = simd_fma(load(secondMoment.base + i, lanes), beta2, g * g * rest2)
      let denominator = simd_fma(simd_sqrt(v), inverseRoot, epsilon)
      let p = simd_fma(load(parameters.base + i, lanes), decay, -(rate * m / denominator))
      store(m, firstMoment.base + i, lanes)
      store(v, secondMoment.base + i, lanes)
      store(p, parameters.base + i, lanes)
    }
  }
}
