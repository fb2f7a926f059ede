#if canImport(Glibc)
  import Glibc
#endif

/// A sum with a running compensation of its rounding errors (Neumaier 1974): its error does not grow with the number of
/// terms, as long as they are finite.
struct CompensatedSum {
  private var sum = 0.0
  private var lost = 0.0

  mutating func add(_ term: Double) {
    let next = sum + term
    lost += abs(sum) >= abs(term) ? (sum - next) + term : (term - next) + sum
    sum = next
  }

  var value: Double { sum + lost }
}

extension Sequence<Double> {
  /// Their sum, compensated.
  func compensatedSum() -> Double {
    var sum = CompensatedSum()
    for term in self { sum.add(term) }
    return sum.value
  }
}

extension Collection<Double> {
  /// log Σ exp; −∞ of an empty collection.
  func logSumExp() -> Double {
    guard let largest = self.max(), largest > -.infinity else { return -.infinity }
    return largest + log(lazy.map { exp($0 - largest) }.compensatedSum())
  }

  /// log of the mean of exp; −∞ of an empty collection.
  func logMeanExp() -> Double {
    guard let largest = self.max(), largest > -.infinity else { return -.infinity }
    return largest + log(lazy.map { exp($0 - largest) }.compensatedSum() / Double(count))
  }
}

/// The log-mean-exp of the values of each group.
func logMeans(of values: [Double], by groups: [Int]) -> [Int: Double] {
  var members: [Int: [Double]] = [:]
  for (value, group) in zip(values, groups) { members[group, default: []].append(value) }
  return members.mapValues { $0.logMeanExp() }
}

/// log w of examples up to a constant; −∞ is a weight of 0. At least one is finite and none is NaN or +∞.
struct LogWeights: Sendable {
  let values: [Double]
  let largest: Double

  init(_ values: [Double]) {
    self.values = values
    largest = values.max() ?? -.infinity
    precondition(largest.isFinite, "no finite log-weight")
  }

  var count: Int { values.count }

  /// Those that are not dropped.
  var kept: [Double] { values.filter { $0 > -.infinity } }

  /// The values of w^τ: dropped examples stay dropped, also where τ = 0.
  func tempered(_ exponent: Double) -> LogWeights {
    LogWeights(values.map { $0 > -.infinity ? exponent * $0 : $0 })
  }

  /// The values where the mean weight is 1.
  var normalized: LogWeights {
    let shift = values.logMeanExp()
    return LogWeights(values.map { $0 - shift })
  }

  /// The weights where their mean is 1.
  var weights: [Double] {
    var weights = values.map { exp($0 - largest) }
    let factor = Double(count) / weights.compensatedSum()
    for i in weights.indices { weights[i] *= factor }
    return weights
  }

  /// max w / Σw
  var maxShare: Double { 1 / values.lazy.map { exp($0 - largest) }.compensatedSum() }

  /// Effective sample size (Σw)²/Σw² of w^τ (Kish 1965) as a share of all examples.
  func effectiveShare(exponent: Double = 1) -> Double {
    var sum = CompensatedSum()
    var squares = CompensatedSum()
    for value in values where value > -.infinity {
      let weight = exp(exponent * (value - largest))
      sum.add(weight)
      squares.add(weight * weight)
    }
    return sum.value * sum.value / squares.value / Double(count)
  }
}
