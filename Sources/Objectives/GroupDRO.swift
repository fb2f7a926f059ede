#if canImport(Glibc)
  import Glibc
#endif

/// Group distributionally robust optimisation (Sagawa et al. 2020, arXiv 1911.08731, algorithm 1): the loss is Σ q_g·ℓ̄_g,
/// ℓ̄_g the mean loss of group g, and q moves towards the groups with large losses, q_g ← q_g·exp(η·(ℓ̄_g + C/√n_g)),
/// normalised (§3.3 for C; n_g is the size of a group in the data).
///
/// Losses of a step move the q of the next one: then both are known before a derivative is asked for, and the two players
/// move at the same time, as in mirror descent on a saddle point (Nemirovski et al. 2009, "Robust stochastic approximation
/// approach to stochastic programming", §3.1). A group that a batch does not hold keeps its q; the others share theirs anew.
package struct GroupDRO: Sendable {
  /// log q of each group; part of a checkpoint.
  package var logWeights: [Double]
  private let step: Double
  private let penalties: [Double]

  /// Equal weights.
  ///
  /// - Parameters:
  ///   - sizes: how many examples of the data belong to each group.
  ///   - step: η
  ///   - adjustment: C
  package init(sizes: [Int], step: Double, adjustment: Double) {
    logWeights = Array(repeating: -log(Double(sizes.count)), count: sizes.count)
    self.step = step
    penalties = sizes.map { adjustment / Double($0).squareRoot() }
  }

  /// q of a group.
  package func weight(ofGroup group: Int) -> Double { exp(logWeights[group]) }

  /// Moves q; allocates nothing.
  ///
  /// - Parameters:
  ///   - losses: the mean loss of each group; NaN for a group that the batch did not hold.
  package mutating func update(_ losses: [Double]) {
    let before = logSum { losses[$0].isNaN ? nil : logWeights[$0] }
    for group in losses.indices where !losses[group].isNaN {
      logWeights[group] += step * (losses[group] + penalties[group])
    }
    let after = logSum { losses[$0].isNaN ? nil : logWeights[$0] }
    for group in losses.indices where !losses[group].isNaN { logWeights[group] += before - after }
    let total = logSum { logWeights[$0] }
    for group in losses.indices { logWeights[group] -= total }
  }

  /// log Σ e^x over the groups for which there is an x.
  private func logSum(_ x: (_ group: Int) -> Double?) -> Double {
    var largest = -Double.infinity
    for group in logWeights.indices { largest = max(largest, x(group) ?? largest) }
    var sum = 0.0
    for group in logWeights.indices { if let x = x(group) { sum += exp(x - largest) } }
    return largest + log(sum)
  }
}
