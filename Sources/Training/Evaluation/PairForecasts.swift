import Objectives

#if canImport(Glibc)
  import Glibc
#endif

/// What a reward model predicts of pairs: that the completion with the higher score is the better one, with probability
/// σ(|s⁺ − s⁻|) (Bradley and Terry 1952; margins are ignored).
package struct PairForecasts: Sendable {
  /// A pair: the difference of its scores, the probability that its label is right, and its weight.
  package struct Pair: Sendable {
    package var difference: Double
    package var softLabel: Double
    package var weight: Double

    package init(difference: Double, softLabel: Double = 1, weight: Double = 1) {
      self.difference = difference
      self.softLabel = softLabel
      self.weight = weight
    }
  }

  package let pairs: [Pair]

  package init(_ pairs: [Pair]) { self.pairs = pairs }

  /// The pairs of a batch that a reward model has scored.
  init(_ batch: [ObjectiveGroup], weight: PreferenceMetrics.Weight = { $0.weight }) {
    pairs = batch.map { group in
      Pair(
        difference: group.completions[0].policy - group.completions[1].policy, softLabel: group.softLabel,
        weight: weight(group))
    }
  }

  /// Confidence in the predicted side and whether it is the right one; without a difference either is, half of the time.
  private func forecasts(temperature: Double) -> [PredictionStatistics.Forecast] {
    pairs.map { pair in
      let q = pair.softLabel
      return PredictionStatistics.Forecast(
        confidence: logistic(abs(pair.difference) / temperature),
        outcome: pair.difference > 0 ? q : pair.difference < 0 ? 1 - q : 0.5, weight: pair.weight)
    }
  }

  /// Mean of −q·log σ(Δ/T) − (1 − q)·log σ(−Δ/T), in nats.
  package func negativeLogLikelihood(temperature: Double = 1) -> Double {
    var (sum, total) = (0.0, 0.0)
    for pair in pairs {
      let scaled = pair.difference / temperature
      sum += pair.weight * (pair.softLabel * softplus(-scaled) + (1 - pair.softLabel) * softplus(scaled))
      total += pair.weight
    }
    return sum / total
  }

  /// See ``PredictionStatistics/expectedCalibrationError(_:bins:)``.
  package func expectedCalibrationError(temperature: Double = 1) -> Double {
    PredictionStatistics.expectedCalibrationError(forecasts(temperature: temperature))
  }

  /// Mean squared distance of σ(Δ/T) and the label.
  package func brierScore(temperature: Double = 1) -> Double {
    PredictionStatistics.brierScore(
      pairs.map {
        .init(confidence: logistic($0.difference / temperature), outcome: $0.softLabel, weight: $0.weight)
      })
  }

  /// Share of pairs whose preferred completion has the higher score.
  package var accuracy: Double {
    let total = pairs.reduce(0) { $0 + $1.weight }
    return pairs.reduce(0) { $0 + ($1.difference > 0 ? $1.weight : 0) } / total
  }
}

// MARK: - Temperature

extension PairForecasts {
  /// Why no temperature fits best.
  package enum Unfit: Error, Equatable {
    /// Every pair is right: the likelihood grows for ever as T → 0.
    case separable
    /// The scores are no better than chance: the likelihood grows for ever as T → ∞.
    case uninformative
  }

  /// The temperature T > 0 that minimises the negative log-likelihood (Guo et al. 2017, arXiv 1706.04599, §4.2).
  ///
  /// The likelihood is convex in β = 1/T, so its slope Σ w·Δ·(σ(βΔ) − q) has one root: Newton's method in log β within a
  /// bracket that is halved where a step would leave it.
  package func temperature() throws(Unfit) -> Double {
    guard slope(0).first < 0 else { throw .uninformative }
    guard slopeAtInfinity > 0 else { throw .separable }
    let scale = pairs.reduce(0) { max($0, abs($1.difference)) }
    var (low, high) = (1 / scale, 1 / scale)
    while slope(low).first >= 0 { low /= 2 }
    while slope(high).first < 0 { high *= 2 }
    var beta = (low * high).squareRoot()
    for _ in 0..<200 {
      let (first, second) = slope(beta)
      if first < 0 { low = beta } else { high = beta }
      // In u = log β the derivatives are β·f′ and β²·f″ + β·f′.
      var next = beta * exp(-first / (beta * second + first))
      if !(next > low && next < high) || second * beta + first <= 0 { next = (low * high).squareRoot() }
      guard abs(next - beta) > 1e-15 * beta else { break }
      beta = next
    }
    return 1 / beta
  }

  /// First and second derivative of the summed negative log-likelihood by β.
  private func slope(_ beta: Double) -> (first: Double, second: Double) {
    var (first, second) = (0.0, 0.0)
    for pair in pairs {
      let p = logistic(beta * pair.difference)
      first += pair.weight * pair.difference * (p - pair.softLabel)
      second += pair.weight * pair.difference * pair.difference * p * (1 - p)
    }
    return (first, second)
  }

  /// The slope's limit for β → ∞: what wrong labels cost.
  private var slopeAtInfinity: Double {
    pairs.reduce(0) { sum, pair in
      sum + pair.weight * abs(pair.difference) * (pair.difference > 0 ? 1 - pair.softLabel : pair.softLabel)
    }
  }
}
