#if canImport(Glibc)
  import Glibc
#endif

/// A place on an axis that has a label.
package struct Tick: Sendable {
  /// In the units of the axis.
  package let value: Double
  package let label: String
}

/// An axis that knows where it begins, ends and has its ticks.
package struct AxisScale: Sendable {
  let scale: Axis.Scale
  package let ticks: [Tick]
  /// Names instead of numbers: no grid, and labels may take several lines.
  let isCategorical: Bool
  /// First and last value.
  package let bounds: ClosedRange<Double>

  /// The scale for an axis and the values on it, with about `count` ticks, the outermost of which enclose all values.
  /// Without values it is that of the number 1. The axis must accept the values.
  package init(_ axis: Axis, values: some Sequence<Double>, ticks count: Int) {
    let shown = Array(values) + (axis.covered.map { [$0.lowerBound, $0.upperBound] } ?? []).filter(axis.accepts)
    let (lower, upper) = (shown.min() ?? 1, shown.max() ?? 1)
    scale = axis.scale
    ticks =
      switch axis.scale {
      case .linear: Self.linearTicks(lower, upper, count: count, isWhole: axis.isWhole)
      case .logarithmic: Self.logarithmicTicks(lower, upper, count: count)
      }
    bounds = ticks[0].value...ticks[ticks.count - 1].value
    isCategorical = false
  }

  /// One unit for each name, around 0, 1, 2, …
  init(categories: [String]) {
    scale = .linear
    ticks = categories.enumerated().map { Tick(value: Double($0), label: $1) }
    bounds = -0.5...Double(max(categories.count, 1)) - 0.5
    isCategorical = true
  }

  /// Where a value lies, from 0 at the first tick to 1 at the last.
  package func fraction(_ value: Double) -> Double {
    let (value, lower, upper) = (transformed(value), transformed(bounds.lowerBound), transformed(bounds.upperBound))
    return min(1, max(0, (value - lower) / (upper - lower)))
  }

  /// Whether zero is a number of this axis and not one of its ends.
  var hasZeroInside: Bool {
    scale == .linear && !isCategorical && bounds.lowerBound < 0 && bounds.upperBound > 0
  }

  private func transformed(_ value: Double) -> Double { scale == .linear ? value : log10(value) }
}

extension AxisScale {
  /// The distance of ticks: 1, 2 or 5 times a power of ten.
  private struct Step {
    let factor: Int
    let exponent: Int

    /// The smallest one that is at least so large.
    init(atLeast size: Double) {
      let exponent = Int(log10(size).rounded(.down))
      let unit = NumberText.powerOfTen(exponent)
      let factor = [1, 2, 5].first { Double($0) * unit >= size * (1 - 1e-9) }
      self.factor = factor ?? 1
      self.exponent = factor == nil ? exponent + 1 : exponent
    }

    /// So many steps. Divides by powers of ten that Double has exactly, so that 3 steps of 0.1 are 0.3.
    func times(_ count: Int) -> Double {
      let product = Double(count * factor)
      return exponent < 0 ? product / NumberText.powerOfTen(-exponent) : product * NumberText.powerOfTen(exponent)
    }
  }

  /// Numbers nearer to each other than this share of their size are drawn as one.
  private static let resolution = 1e-6
  /// How far beyond a tick, in steps, a value may lie by rounding alone.
  private static let slack = 1e-5

  private static func linearTicks(_ lower: Double, _ upper: Double, count: Int, isWhole: Bool) -> [Tick] {
    let (lower, upper) = widened(lower, upper, isWhole: isWhole)
    let size = (upper - lower) / Double(count)
    let step = Step(atLeast: isWhole ? max(size, 1) : size)
    let first = Int((lower / step.times(1) + slack).rounded(.down))
    let last = Int((upper / step.times(1) - slack).rounded(.up))
    let largest = max(abs(step.times(first)), abs(step.times(last)))
    return (first...last).map { index in
      let value = step.times(index)
      return Tick(value: value, label: label(value, step: step, largest: largest))
    }
  }

  /// Room around a single value.
  private static func widened(_ lower: Double, _ upper: Double, isWhole: Bool) -> (Double, Double) {
    let size = max(abs(lower), abs(upper))
    if upper - lower > max(resolution * size, 1e-290) { return (lower, upper) }
    let margin = isWhole ? 1 : size > 1e-290 ? 0.1 * size : 1
    return (lower - margin, upper + margin)
  }

  /// All labels of an axis have the same number of decimals; large and small ones are written by powers of ten.
  private static func label(_ value: Double, step: Step, largest: Double) -> String {
    if largest < 1e6 && step.exponent >= -5 { return NumberText.fixed(value, places: max(0, -step.exponent)) }
    return value == 0 ? "0" : NumberText.brief(value, digits: 8)
  }

  /// 1, 2 and 5 times powers of ten where they are few enough, else powers of ten at even distances.
  private static func logarithmicTicks(_ lower: Double, _ upper: Double, count: Int) -> [Tick] {
    let first = Int((log10(lower) + slack).rounded(.down))
    let last = max(Int((log10(upper) - slack).rounded(.up)), first + 1)
    if 2 * (last - first) > count { return decades(first, last, count: count) }
    let grid = (first...last).flatMap { exponent in
      [1, 2, 5].map { Double($0) * NumberText.powerOfTen(exponent) }
    }
    let begin = grid.lastIndex { $0 <= lower * (1 + slack) } ?? 0
    let end = max(grid.firstIndex { $0 >= upper * (1 - slack) } ?? grid.count - 1, begin + 1)
    return grid[begin...end].map { Tick(value: $0, label: NumberText.brief($0)) }
  }

  private static func decades(_ first: Int, _ last: Int, count: Int) -> [Tick] {
    let exponents = linearTicks(Double(first), Double(last), count: count, isWhole: true).map { Int($0.value) }
    let isPlain = exponents.allSatisfy { abs($0) <= 3 }
    return exponents.map { exponent in
      let value = NumberText.powerOfTen(exponent)
      return Tick(value: value, label: isPlain ? NumberText.brief(value) : NumberText.power(exponent))
    }
  }
}
