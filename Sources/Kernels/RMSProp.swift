import AlignmentCore
import CSIMD

/// One RMSprop update over flat memory (Tieleman and Hinton 2012, COURSERA lecture 6.5), in the form that PyTorch gave it:
/// ε is added to the root, weight decay to the gradient. Centred as by Graves 2013 (arXiv 1308.0850, eq. 38–41).
package enum RMSPropKernel {
  /// What an update needs beside its arrays.
  package struct Step {
    /// Learning rate of this step, schedule included.
    package var learningRate: Float
    /// Share of the averages that is kept.
    package var alpha: Double
    package var epsilon: Float
    /// Share of the last update that is kept; needs a buffer.
    package var momentum: Float
    /// Coupled: weightDecay · parameter is part of the gradient.
    package var weightDecay: Float
    /// Factor on the gradient: gradient clipping.
    package var gradientScale: Float

    package init(
      learningRate: Float, alpha: Double, epsilon: Float, momentum: Float, weightDecay: Float, gradientScale: Float
    ) {
      self.learningRate = learningRate
      self.alpha = alpha
      self.epsilon = epsilon
      self.momentum = momentum
      self.weightDecay = weightDecay
      self.gradientScale = gradientScale
    }
  }

  /// The averages of an update, each as long as the parameters.
  package struct State {
    package var squareAverage: FloatView
    /// Average of the gradient; makes the update centred.
    package var gradientAverage: FloatView?
    /// Running update; makes the update one with momentum.
    package var momentum: FloatView?

    package init(squareAverage: FloatView, gradientAverage: FloatView?, momentum: FloatView?) {
      self.squareAverage = squareAverage
      self.gradientAverage = gradientAverage
      self.momentum = momentum
    }
  }

  /// Updates parameters and state in place; all views have the same length.
  package static func update(parameters: FloatView, gradients: FloatView, _ state: State, _ step: Step) {
    let (decay, descent) = (Vector(repeating: step.weightDecay), Vector(repeating: -step.learningRate))
    let (epsilon, momentum) = (Vector(repeating: step.epsilon), Vector(repeating: step.momentum))
    // 1 − α in Float64: in Float32 it would lose digits to cancellation.
    let (alpha, rest) = (Vector(repeating: Float(step.alpha)), Vector(repeating: Float(1 - step.alpha)))
    forEachVector(in: parameters.count) { i, lanes in
      let p = load(parameters.base + i, lanes)
      let g = simd_fma(p, decay, load(gradients.base + i, lanes) * step.gradientScale)
      let v = simd_fma(load(state.squareAverage.base + i, lanes), alpha, g * g * rest)
      store(v, state.squareAverage.base + i, lanes)
      var variance = v
      if let average = state.gradientAverage {
        let a = simd_fma(load(average.base + i, lanes), alpha, g * rest)
        store(a, average.base + i, lanes)
        // Never negative but for rounding.
        variance = simd_bound_below(.zero, simd_fma(-a, a, v))
      }
      var update = g / (simd_sqrt(variance) + epsilon)
      if let buffer = state.momentum {
        update = simd_fma(load(buffer.base + i, lanes), momentum, update)
        store(update, buffer.base + i, lanes)
      }
      store(simd_fma(update, descent, p), parameters.base + i, lanes)
    }
  }
}
