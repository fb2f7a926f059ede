#if canImport(Glibc)
  import Glibc
#endif

/// A score of a classifier and whether the response is the target domain's.
struct ScoredResponse: Sendable, Equatable {
  var score: Double
  var isTarget: Bool
}

/// A non-decreasing map from scores to the logit of P(target), fitted to forecasts of responses that the classifier was not
/// trained on.
protocol Calibration {
  init(_ responses: [ScoredResponse])
  func logit(_ score: Double) -> Double
}

/// logit = a·score + b with a ≥ 0, by maximum likelihood with the targets (n₊ + 1)/(n₊ + 2) and 1/(n₋ + 2) in place of 1 and
/// 0, so that a perfect separation stays finite (Platt 1999, "Probabilistic outputs for support vector machines", §2.2).
///
/// Where scores fall with the truth, a is 0: a classifier that is worse than chance knows nothing.
struct PlattCalibration: Calibration {
  let slope: Double
  let intercept: Double

  init(_ responses: [ScoredResponse]) {
    let positives = Double(responses.count { $0.isTarget })
    let negatives = Double(responses.count) - positives
    let (high, low) = ((positives + 1) / (positives + 2), 1 / (negatives + 2))
    let constant = [0, Self.logOdds((positives * high + negatives * low) / Double(responses.count))]
    let fit = NewtonMethod().minimize(from: constant) { point, curvature in
      for response in responses {
        let score = response.score
        let loss = LogisticLoss(logit: point[0] * score + point[1], label: response.isTarget ? high : low)
        curvature.value += loss.value
        curvature.gradient[0] += loss.derivative * score
        curvature.gradient[1] += loss.derivative
        curvature.hessian[0, 0] += loss.curvature * score * score
        curvature.hessian[1, 0] += loss.curvature * score
        curvature.hessian[1, 1] += loss.curvature
      }
    }
    let point = fit.point[0] > 0 ? fit.point : constant
    (slope, intercept) = (point[0], point[1])
  }

  private static func logOdds(_ p: Double) -> Double { log(p / (1 - p)) }

  func logit(_ score: Double) -> Double { slope * score + intercept }
}

/// The non-decreasing function of the score that is closest to the labels in squares, by pooling of adjacent violators
/// (Barlow et al. 1972; Zadrozny and Elkan 2002 for classifiers), linear between the scores it was fitted to and constant
/// beyond them. Its ends are often certain: logits of ±∞.
struct IsotonicCalibration: Calibration {
  /// Scores, increasing, and P(target) at each.
  private var scores: [Double] = []
  private var probabilities: [Double] = []

  private struct Block {
    var first: Double
    var last: Double
    var positives: Double
    var count: Double
    var mean: Double { positives / count }
  }

  init(_ responses: [ScoredResponse]) {
    var blocks: [Block] = []
    for response in responses.sorted(by: { $0.score < $1.score }) {
      let positives = response.isTarget ? 1.0 : 0
      if let last = blocks.last, last.last == response.score {
        blocks[blocks.count - 1].positives += positives
        blocks[blocks.count - 1].count += 1
      } else {
        Self.pool(&blocks)
        blocks.append(Block(first: response.score, last: response.score, positives: positives, count: 1))
      }
    }
    Self.pool(&blocks)
    for block in blocks {
      for score in block.first < block.last ? [block.first, block.last] : [block.first] {
        scores.append(score)
        probabilities.append(block.mean)
      }
    }
  }

  /// Joins the last block with those before it while they do not increase.
  private static func pool(_ blocks: inout [Block]) {
    while blocks.count > 1, blocks[blocks.count - 2].mean >= blocks[blocks.count - 1].mean {
      let last = blocks.removeLast()
      blocks[blocks.count - 1].last = last.last
      blocks[blocks.count - 1].positives += last.positives
      blocks[blocks.count - 1].count += last.count
    }
  }

  func logit(_ score: Double) -> Double {
    let p = probability(score)
    return log(p / (1 - p))
  }

  func probability(_ score: Double) -> Double {
    let after = scores.partitionPoint { $0 < score }
    guard after > 0 else { return probabilities[0] }
    guard after < scores.count else { return probabilities[scores.count - 1] }
    let share = (score - scores[after - 1]) / (scores[after] - scores[after - 1])
    return probabilities[after - 1] + share * (probabilities[after] - probabilities[after - 1])
  }
}

/// The scores as they are.
struct NoCalibration: Calibration {
  init(_ responses: [ScoredResponse]) {}
  func logit(_ score: Double) -> Double { score }
}

extension [Double] {
  /// The first place of a sorted array where the condition, true at first, no longer holds.
  func partitionPoint(where holds: (Double) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if holds(self[middle]) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
