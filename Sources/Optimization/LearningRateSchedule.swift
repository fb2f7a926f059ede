import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// The factor on the learning rate as a function of the step, after a linear warm-up (the schedules of transformers).
package struct LearningRateSchedule: Sendable, Equatable {
  package enum Shape: String, CaseIterable, Sendable {
    case constant
    /// Falls linearly to 0 at the last step.
    case linear
    /// Falls along half a cosine to 0 at the last step.
    case cosine
  }

  package let shape: Shape
  /// Steps over which the factor rises from 0 to 1.
  package let warmup: Int
  package let totalSteps: Int

  package init(shape: Shape, warmup: Int, totalSteps: Int) {
    self.shape = shape
    self.warmup = warmup
    self.totalSteps = totalSteps
  }

  /// The factor of a step, counted from 0.
  package func factor(atStep step: Int) -> Double {
    if step < warmup { return Double(step) / Double(max(1, warmup)) }
    let progress = min(1, Double(step - warmup) / Double(max(1, totalSteps - warmup)))
    switch shape {
    case .constant: return 1
    case .linear: return 1 - progress
    case .cosine: return 0.5 * (1 + cos(Double.pi * progress))
    }
  }
}
