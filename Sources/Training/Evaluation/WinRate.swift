import Objectives

/// How often one policy's answers are better than another's, as a judge scores them.
///
/// Of each prompt all pairs of answers are compared, a tie counted half; prompts count alike.
package struct WinRate: Sendable {
  /// Mean over the prompts.
  package let rate: Double
  /// 95 % interval by the normal approximation over prompts, within 0…1; nil for a single prompt.
  package let interval: ClosedRange<Double>?
  /// Share of pairs that are ties.
  package let ties: Double

  /// - Parameters:
  ///   - prompts: scores of both policies' answers to each prompt, none empty.
  package init(_ prompts: [(policy: [Double], opponent: [Double])]) {
    var (shares, tied) = ([Double](), 0.0)
    for (policy, opponent) in prompts {
      var (wins, ties) = (0, 0)
      for own in policy {
        for other in opponent {
          wins += own > other ? 1 : 0
          ties += own == other ? 1 : 0
        }
      }
      let pairs = Double(policy.count * opponent.count)
      shares.append((Double(wins) + Double(ties) / 2) / pairs)
      tied += Double(ties) / pairs
    }
    let moments = Moments(shares)
    // The 97.5 % quantile of the normal distribution.
    let reach = 1.959963984540054 * moments.sampleDeviation / Double(shares.count).squareRoot()
    rate = moments.mean
    interval = shares.count > 1 ? max(0, rate - reach)...min(1, rate + reach) : nil
    ties = tied / Double(prompts.count)
  }
}
