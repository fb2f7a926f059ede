import AlignmentCore

/// How fast each rank computes, from what all ranks know of the steps so far; the same on every rank.
///
/// Only the deal of units follows from it, never a result, so it is no part of a checkpoint.
package struct RankSpeeds: Sendable {
  /// Smoothed seconds that each rank takes for a unit of cost; 0 where nothing is known.
  private var estimates: [Double]
  /// How far an estimate moves towards what a step has shown.
  private static let smoothing = 0.3
  /// How far that of a rank without units moves towards the others', so that it is tried again.
  private static let forgetting = 0.1

  package init(ranks: Int) { estimates = Array(repeating: 0, count: ranks) }

  /// What a unit of cost takes each rank; equal numbers until all are known.
  package var rates: [Double] { isKnown ? estimates : Array(repeating: 1, count: estimates.count) }

  /// What a unit of cost takes each rank relative to the median of all; empty until all are known.
  package var slowness: [Double] { isKnown ? estimates.map { $0 / median } : [] }

  private var isKnown: Bool { estimates.allSatisfy { $0 > 0 } }

  /// The lower median of what is known, so that of two ranks the slower one stands out. Sorts nothing, for it is asked
  /// for in a step, which allocates nothing.
  private var median: Double {
    let known = estimates.count { $0 > 0 }
    return estimates.first { estimate in
      let below = estimates.count { $0 > 0 && $0 < estimate }
      let upTo = estimates.count { $0 > 0 && $0 <= estimate }
      return estimate > 0 && below <= (known - 1) / 2 && (known - 1) / 2 < upTo
    } ?? 0
  }

  /// Takes in what each rank has computed in a step; a rank without units has neither cost nor seconds.
  package mutating func observe(_ computations: (_ rank: Int) -> Computation) {
    for rank in estimates.indices {
      let work = computations(rank)
      guard work.cost > 0 else { continue }
      let rate = work.seconds / work.cost
      estimates[rank] += estimates[rank] > 0 ? Self.smoothing * (rate - estimates[rank]) : rate
    }
    guard estimates.indices.contains(where: { computations($0).cost == 0 && estimates[$0] > 0 }) else { return }
    let median = median
    for rank in estimates.indices where computations(rank).cost == 0 && estimates[rank] > 0 {
      estimates[rank] += Self.forgetting * (median - estimates[rank])
    }
  }
}
