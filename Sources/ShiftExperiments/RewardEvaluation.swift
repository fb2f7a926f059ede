#if canImport(Glibc)
  import Glibc
#endif

/// How good a reward model is where it will be used.
package struct RewardEvaluation: Sendable, Equatable {
  /// −log-likelihood of a label, in nats.
  package var negativeLogLikelihood: Double
  /// Share of pairs that it orders as the gold reward does; ties count half.
  package var accuracy: Double

  /// Measures against a gold reward. Labels are not drawn: the likelihood is averaged over Bradley and Terry's
  /// probabilities, so that the noise of labels is not in it.
  ///
  /// - Parameters:
  ///   - gaps: score of the first less that of the second, for each pair.
  ///   - rewardGaps: the same of the gold reward.
  package init(gaps: [Double], rewardGaps: [Double]) {
    precondition(gaps.count == rewardGaps.count && !gaps.isEmpty, "\(gaps.count) gaps of \(rewardGaps.count) pairs")
    let pairs = zip(gaps, rewardGaps)
    let count = Double(gaps.count)
    negativeLogLikelihood = pairs.reduce(0) { $0 + crossEntropy($1.0, target: sigmoid($1.1)) } / count
    accuracy =
      pairs.reduce(0) { sum, pair in
        sum + (pair.0 == 0 || pair.1 == 0 ? 0.5 : (pair.0 > 0) == (pair.1 > 0) ? 1 : 0)
      } / count
  }
}

/// The mean value of the candidate with the highest score among n that are drawn without replacement, over all draws:
/// the unbiased estimate of what best-of-n gives (order statistics of a finite sample). Ties are broken at random.
///
/// - Parameters:
///   - scores: what the choice goes by.
///   - values: what the choice is worth.
///   - counts: the n, each from 1 to the number of candidates.
package func bestOf(_ counts: [Int], scores: [Double], values: [Double]) -> [Double] {
  precondition(scores.count == values.count, "\(scores.count) scores of \(values.count) candidates")
  let order = scores.indices.sorted { scores[$0] > scores[$1] }
  let tied = valuesSharedByTies(order, scores, values)
  return counts.map { n in
    precondition((1...scores.count).contains(n), "best of \(n) among \(scores.count)")
    // P(the best of n has rank i from below) = C(i−1, n−1) / C(N, n), from the top down.
    var probability = Double(n) / Double(scores.count)
    var result = 0.0
    for (place, value) in tied.enumerated() {
      let rank = scores.count - place
      guard rank >= n else { break }
      result += probability * value
      probability *= Double(rank - n) / Double(max(1, rank - 1))
    }
    return result
  }
}

/// Values in an order of falling scores; candidates of equal score all have the mean of theirs.
private func valuesSharedByTies(_ order: [Int], _ scores: [Double], _ values: [Double]) -> [Double] {
  var result: [Double] = []
  result.reserveCapacity(order.count)
  var start = 0
  while start < order.count {
    var end = start + 1
    while end < order.count, scores[order[end]] == scores[order[start]] { end += 1 }
    let mean = order[start..<end].reduce(0) { $0 + values[$1] } / Double(end - start)
    result.append(contentsOf: repeatElement(mean, count: end - start))
    start = end
  }
  return result
}
