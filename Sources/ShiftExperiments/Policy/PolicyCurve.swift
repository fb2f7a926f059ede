/// A policy on its way from where it started.
package struct PolicyPoint: Sendable, Equatable {
  package var step: Int
  /// KL(policy ‖ start) of a response, in nats.
  package var divergence: Double
  /// Mean gold reward of responses.
  package var reward: Double

  package init(step: Int, divergence: Double, reward: Double) {
    (self.step, self.divergence, self.reward) = (step, divergence, reward)
  }
}

/// Gold reward against KL along a training, from the untrained policy on: what policies that moved at different speeds can be
/// compared by (Gao et al. 2022, arXiv 2210.10760, §2).
package struct PolicyCurve: Sendable, Equatable {
  package private(set) var points: [PolicyPoint]

  /// - Parameter points: at least one, in the order of steps.
  package init(_ points: [PolicyPoint]) {
    precondition(!points.isEmpty, "a curve without points")
    self.points = points
  }

  /// The reward where the divergence first reaches a value, linear between points; the last reward if it never does.
  package func reward(atDivergence divergence: Double) -> Double {
    for (before, after) in zip(points, points.dropFirst()) where after.divergence >= divergence {
      guard before.divergence < divergence else { return before.reward }
      let share = (divergence - before.divergence) / (after.divergence - before.divergence)
      return before.reward + share * (after.reward - before.reward)
    }
    return points[points.count - 1].reward
  }

  package func reaches(_ divergence: Double) -> Bool { points.contains { $0.divergence >= divergence } }
}
