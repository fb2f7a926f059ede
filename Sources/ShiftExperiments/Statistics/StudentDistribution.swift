#if canImport(Glibc)
  import Glibc
#endif

/// Student's t distribution.
package struct StudentDistribution: Sendable {
  package let degreesOfFreedom: Double

  package init(degreesOfFreedom: Double) {
    precondition(degreesOfFreedom > 0, "t needs degrees of freedom above 0, not \(degreesOfFreedom)")
    self.degreesOfFreedom = degreesOfFreedom
  }

  /// P(|t| ≥ |x|).
  package func twoSidedTail(_ x: Double) -> Double {
    let nu = degreesOfFreedom
    return regularizedIncompleteBeta(nu / (nu + x * x), nu / 2, 0.5)
  }

  /// P(t ≤ x).
  package func cumulative(_ x: Double) -> Double {
    let tail = twoSidedTail(x) / 2
    return x > 0 ? 1 - tail : tail
  }

  /// The x whose two-sided interval ±x holds a share `level` of the distribution.
  package func halfWidth(ofLevel level: Double) -> Double {
    precondition(level > 0 && level < 1, "a level lies between 0 and 1, not \(level)")
    var (low, high) = (0.0, 1.0)
    while twoSidedTail(high) > 1 - level { high *= 2 }
    while true {
      let middle = (low + high) / 2
      guard middle > low, middle < high else { return middle }
      if twoSidedTail(middle) > 1 - level { low = middle } else { high = middle }
    }
  }
}

/// I_x(a, b) for x in [0, 1], by the continued fraction of Abramowitz and Stegun, 26.5.8, with Lentz's recurrence.
func regularizedIncompleteBeta(_ x: Double, _ a: Double, _ b: Double) -> Double {
  guard x > 0 else { return 0 }
  guard x < 1 else { return 1 }
  // The fraction converges fast on this side of the mean only.
  guard x <= (a + 1) / (a + b + 2) else { return 1 - regularizedIncompleteBeta(1 - x, b, a) }
  let logFront = lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)
  return exp(logFront) * betaContinuedFraction(x, a, b) / a
}

private func betaContinuedFraction(_ x: Double, _ a: Double, _ b: Double) -> Double {
  /// Stands for a denominator of zero.
  let tiny = 1e-300
  func safe(_ value: Double) -> Double { abs(value) < tiny ? tiny : value }
  var c = 1.0
  var d = 1 / safe(1 - (a + b) * x / (a + 1))
  var value = d
  for step in 1...500 {
    let m = Double(step)
    let even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
    let odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    for numerator in [even, odd] {
      d = 1 / safe(1 + numerator * d)
      c = safe(1 + numerator / c)
      value *= d * c
    }
    if abs(d * c - 1) < 1e-15 { break }
  }
  return value
}
