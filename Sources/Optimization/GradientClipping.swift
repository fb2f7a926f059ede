/// Clipping by an L2 norm.
package enum GradientClipping {
  /// The factor that brings a norm down to a maximum: min(1, maximum / (norm + 10⁻⁶)), as PyTorch has it.
  package static func scale(norm: Double, maximum: Double) -> Double {
    maximum > 0 ? min(1, maximum / (norm + 1e-6)) : 1
  }
}
