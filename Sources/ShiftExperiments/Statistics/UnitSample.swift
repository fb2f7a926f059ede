#if canImport(Glibc)
  import Glibc
#endif

/// An estimate and the interval that is believed to hold its true value.
package struct Interval: Sendable, Equatable {
  package var estimate: Double
  package var lower: Double
  package var upper: Double

  package init(_ estimate: Double, _ lower: Double, _ upper: Double) {
    self.estimate = estimate
    self.lower = lower
    self.upper = upper
  }

  package func contains(_ value: Double) -> Bool { lower <= value && value <= upper }
}

/// One number for each independent unit (seed, prompt, …): most often the difference between two treatments of it.
package struct UnitSample: Sendable {
  package let values: [Double]

  package init(_ values: [Double]) {
    precondition(values.count >= 2, "statistics need two units or more")
    self.values = values
  }

  /// `first` − `second`, unit by unit.
  package init(_ first: [Double], minus second: [Double]) {
    precondition(first.count == second.count, "\(first.count) units against \(second.count)")
    self.init(zip(first, second).map(-))
  }

  package var mean: Double { values.mean }

  /// Standard error of the mean.
  package var standardError: Double { (values.variance / Double(values.count)).squareRoot() }

  private var student: StudentDistribution { StudentDistribution(degreesOfFreedom: Double(values.count - 1)) }

  /// The mean and its t interval.
  package func interval(level: Double = 0.95) -> Interval {
    let width = student.halfWidth(ofLevel: level) * standardError
    return Interval(mean, mean - width, mean + width)
  }

  /// Two-sided p-value of the paired t test of mean 0; 1 where all differences are 0.
  package var studentP: Double {
    guard standardError > 0 else { return mean == 0 ? 1 : 0 }
    return student.twoSidedTail(mean / standardError)
  }
}

extension UnitSample {
  /// Up to this many units the distribution of the signed ranks is counted out.
  private static let exactLimit = 50

  /// Two-sided p-value of Wilcoxon's signed-rank test of a distribution symmetric around 0 (Wilcoxon 1945).
  ///
  /// Zeros are dropped. Without ties and zeros and with up to 50 units the p-value is exact; otherwise it is the normal
  /// approximation with the variance corrected for ties.
  package var wilcoxonP: Double {
    let nonzero = values.filter { $0 != 0 }
    guard !nonzero.isEmpty else { return 1 }
    let ranking = MidRanks(nonzero.map(abs))
    let positive = zip(nonzero, ranking.ranks).reduce(0) { $1.0 > 0 ? $0 + $1.1 : $0 }
    let isExact = ranking.tieTerm == 0 && nonzero.count == values.count && values.count <= Self.exactLimit
    return isExact
      ? Self.exactP(positive, count: nonzero.count)
      : Self.normalP(positive, count: nonzero.count, tieTerm: ranking.tieTerm)
  }

  private static func exactP(_ positive: Double, count: Int) -> Double {
    let total = count * (count + 1) / 2
    // ways[s]: subsets of the ranks 1…k with the sum s, as a share of all subsets.
    var ways = [1.0] + [Double](repeating: 0, count: total)
    for rank in 1...count {
      for sum in stride(from: total, through: 0, by: -1) {
        ways[sum] = 0.5 * (ways[sum] + (sum >= rank ? ways[sum - rank] : 0))
      }
    }
    let smaller = min(Int(positive), total - Int(positive))
    return min(1, 2 * ways[...smaller].reduce(0, +))
  }

  private static func normalP(_ positive: Double, count: Int, tieTerm: Double) -> Double {
    let n = Double(count)
    let variance = n * (n + 1) * (2 * n + 1) / 24 - tieTerm / 48
    let z = (positive - n * (n + 1) / 4) / variance.squareRoot()
    return erfc(abs(z) / 2.0.squareRoot())
  }
}

/// Ranks from 1 on, ties sharing the mean of theirs.
struct MidRanks {
  private(set) var ranks: [Double]
  /// Σ (t³ − t) over groups of t equal values.
  private(set) var tieTerm = 0.0

  init(_ values: [Double]) {
    let order = values.indices.sorted { values[$0] < values[$1] }
    ranks = [Double](repeating: 0, count: values.count)
    var start = 0
    while start < order.count {
      let end = order[start...].firstIndex { values[$0] != values[order[start]] } ?? order.count
      for place in order[start..<end] { ranks[place] = Double(start + end + 1) / 2 }
      let size = Double(end - start)
      tieTerm += size * size * size - size
      start = end
    }
  }
}

extension [Double] {
  /// The mean of at least one value.
  package var mean: Double { reduce(0, +) / Double(count) }

  /// The unbiased variance of at least two values.
  package var variance: Double {
    let center = mean
    return reduce(0) { $0 + ($1 - center) * ($1 - center) } / Double(count - 1)
  }
}
