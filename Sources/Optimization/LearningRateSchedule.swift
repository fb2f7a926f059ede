import AlignmentCore

#if canImport(Glibc)
  import Glibc
#endif

/// The factor on the learning rate as a function of the step, after a linear warm-up (the schedules of transformers).
package struct LearningRateSchedule: Sendable, Equatable {
  package enum Shape: String, CaseIterable, Sendable {
    case constant
    /// Falls linearly to the minimum at the last step.
    case linear
    /// Falls along half a cosine to the minimum at the last step (Loshchilov and Hutter 2017, arXiv 1608.03983, eq. 5).
    case cosine
    /// Stays at 1 and falls to the minimum over the last steps (Hu et al. 2024, arXiv 2404.06395, §4).
    case warmupStableDecay = "warmup_stable_decay"
  }

  /// How a ``Shape/warmupStableDecay`` schedule ends.
  package struct Decay: Sendable, Equatable {
    package enum Curve: String, CaseIterable, Sendable {
      case linear
      /// Half a cosine.
      case cosine
      /// 1 − √progress (Hägele et al. 2024, arXiv 2405.18392, §3).
      case root = "1-sqrt"

      /// What is left of the fall, for a progress between 0 and 1.
      func remainder(_ progress: Double) -> Double {
        switch self {
        case .linear: 1 - progress
        case .cosine: 0.5 * (1 + cos(Double.pi * progress))
        case .root: 1 - progress.squareRoot()
        }
      }
    }

    package let curve: Curve
    /// Steps of the fall, the last of the run.
    package let steps: Int

    package init(_ curve: Curve, steps: Int) {
      self.curve = curve
      self.steps = steps
    }
  }

  package let shape: Shape
  /// Steps over which the factor rises to 1: from 0, or with ``Shape/warmupStableDecay`` from the minimum.
  package let warmup: Int
  package let totalSteps: Int
  /// What a falling factor ends at and keeps after the last step.
  package let minimum: Double
  package let decay: Decay

  /// - Parameters:
  ///   - minimum: 0…1.
  ///   - decay: of ``Shape/warmupStableDecay``; unused otherwise.
  package init(
    shape: Shape, warmup: Int, totalSteps: Int, minimum: Double = 0, decay: Decay = Decay(.linear, steps: 0)
  ) {
    self.shape = shape
    self.warmup = warmup
    self.totalSteps = totalSteps
    self.minimum = minimum
    self.decay = decay
  }

  /// A length in steps from a number of steps or, below 1, a fraction of a run.
  package static func steps(_ length: Double, of totalSteps: Int) -> Int {
    length < 1 ? Int((length * Double(totalSteps)).rounded(.up)) : Int(length)
  }

  /// The factor of a step, counted from 0.
  package func factor(atStep step: Int) -> Double {
    if step < warmup {
      let progress = Double(step) / Double(max(1, warmup))
      return shape == .warmupStableDecay ? aboveMinimum(progress) : progress
    }
    switch shape {
    case .constant: return 1
    case .linear: return aboveMinimum(Decay.Curve.linear.remainder(progress(step, from: warmup)))
    case .cosine: return aboveMinimum(Decay.Curve.cosine.remainder(progress(step, from: warmup)))
    case .warmupStableDecay:
      let start = totalSteps - decay.steps
      return step < start ? 1 : aboveMinimum(decay.curve.remainder(progress(step, from: start)))
    }
  }

  /// How much of the way from a step to the end lies behind.
  private func progress(_ step: Int, from start: Int) -> Double {
    step < totalSteps ? Double(step - start) / Double(totalSteps - start) : 1
  }

  /// Maps 0…1 to minimum…1.
  private func aboveMinimum(_ factor: Double) -> Double { factor * (1 - minimum) + minimum }
}
