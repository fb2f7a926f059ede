/// How good a reward model is on pairs that people have labelled, each of which counts by a weight.
package struct LabelledQuality: Sendable, Equatable {
  /// Mean −log σ(score of chosen − score of rejected), in nats.
  package var negativeLogLikelihood: Double
  /// Share of pairs in which the chosen response has the higher score; ties count half.
  package var accuracy: Double
  /// Area under the ROC curve of margins, each pair taken in both orders: how well a margin's size says how sure it is.
  package var auc: Double

  /// - Parameters:
  ///   - margins: score of the chosen response less that of the rejected one.
  ///   - weights: not all 0.
  package init(margins: [Double], weights: [Double]) {
    precondition(margins.count == weights.count, "\(margins.count) margins of \(weights.count) pairs")
    let total = weights.reduce(0, +)
    precondition(total > 0, "no pair counts")
    func mean(_ value: (Double) -> Double) -> Double {
      zip(margins, weights).reduce(0) { $0 + $1.1 * value($1.0) } / total
    }
    negativeLogLikelihood = mean { crossEntropy($0, target: 1) }
    accuracy = mean { $0 > 0 ? 1 : $0 == 0 ? 0.5 : 0 }
    auc = Self.auc(margins, weights, total)
  }

  /// P(m > −m′) + ½·P(m = −m′) for margins m and m′ of two pairs drawn by weight.
  private static func auc(_ margins: [Double], _ weights: [Double], _ total: Double) -> Double {
    let order = margins.indices.sorted { margins[$0] < margins[$1] }
    var (sum, passed, tied) = (0.0, 0.0, 0.0)
    var (next, end) = (0, 0)
    // From the most negative mirror image on: those of the largest margins come first.
    for pair in order {
      let mirror = margins[pair]
      while next < order.count, -margins[order[order.count - 1 - next]] < mirror {
        passed += weights[order[order.count - 1 - next]]
        next += 1
      }
      if end <= next { (end, tied) = (next, 0) }
      while end < order.count, -margins[order[order.count - 1 - end]] == mirror {
        tied += weights[order[order.count - 1 - end]]
        end += 1
      }
      sum += weights[pair] * (passed + tied / 2)
    }
    return sum / (total * total)
  }
}
