import AlignmentCore
import CSIMD

/// One step of stochastic gradient descent over flat memory, with the momentum of Sutskever et al. 2013 ("On the importance
/// of initialization and momentum in deep learning", eq. 1–4) in the form that PyTorch gave it: the learning rate multiplies
/// the running sum, and weight decay is added to the gradient.
package enum SGDKernel {
  /// What an update needs beside its arrays.
  package struct Step {
    /// Learning rate of this step, schedule included.
    package var learningRate: Float
    /// Share of the running sum that is kept.
    package var momentum: Float
    /// Factor on the gradient as it joins the running sum: 1 − dampening, and 1 in the first step.
    package var gradientShare: Float
    /// Whether to step along gradient + momentum · running sum instead of the running sum.
    package var isNesterov: Bool
    /// Coupled: weightDecay · parameter is part of the gradient.
    package var weightDecay: Float
    /// Factor on the gradient: gradient clipping.
    package var gradientScale: Float

    package init(
      learningRate: Float, momentum: Float, gradientShare: Float, isNesterov: Bool, weightDecay: Float,
      gradientScale: Float
    ) {
      self.learningRate = learningRate
      self.momentum = momentum
      self.gradientShare = gradientShare
      self.isNesterov = isNesterov
      self.weightDecay = weightDecay
      self.gradientScale = gradientScale
    }
  }

  /// Updates parameters and the running sum in place; all views have the same length.
  ///
  /// - Parameters:
  ///   - runningSum: nil is descent without momentum.
  package static func update(parameters: FloatView, gradients: FloatView, runningSum: FloatView?, _ step: Step) {
    let (decay, descent) = (Vector(repeating: step.weightDecay), Vector(repeating: -step.learningRate))
    let (momentum, share) = (Vector(repeating: step.momentum), Vector(repeating: step.gradientShare))
    forEachVector(in: parameters.count) { i, lanes in
      let p = load(parameters.base + i, lanes)
      let g = simd_fma(p, decay, load(gradients.base + i, lanes) * step.gradientScale)
      var update = g
      if let runningSum {
        let sum = simd_fma(load(runningSum.base + i, lanes), momentum, g * share)
        store(sum, runningSum.base + i, lanes)
        update = step.isNesterov ? simd_fma(sum, momentum, g) : sum
      }
      store(simd_fma(update, descent, p), parameters.base + i, lanes)
    }
  }
}
