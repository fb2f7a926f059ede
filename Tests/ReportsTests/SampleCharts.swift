import Foundation
import Reports

/// Charts of every kind from random data, some of which cannot be drawn.
struct SampleCharts {
  var random: SplitMix

  init(seed: UInt64) { random = SplitMix(seed: seed) }

  static let kinds: [String: @Sendable (inout SampleCharts) -> any Chart] = [
    "lines": { $0.lines() }, "histogram": { $0.histogram() }, "bars": { $0.bars(.up) },
    "bars right": { $0.bars(.right) },
    "love": { $0.love() }, "reliability": { $0.reliability() }, "scatter": { $0.scatter() },
  ]

  private mutating func count(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

  /// A number of a random size, or one that cannot be drawn.
  private mutating func number(size: Double) -> Double {
    switch count(0...19) {
    case 0: [.nan, .infinity, -.infinity, .greatestFiniteMagnitude][count(0...3)]
    case 1: 0
    default: size * random.real(in: -1...1)
    }
  }

  private mutating func numbers(_ count: Int) -> [Double] {
    let size = pow(10, random.real(in: -20...20))
    return (0..<count).map { _ in number(size: size) }
  }

  private mutating func estimates(_ count: Int) -> [Estimate] {
    zip(numbers(count), numbers(count)).map {
      Bool.random(using: &random) ? Estimate($0, error: abs($1)) : Estimate($0)
    }
  }

  private mutating func axis() -> Axis {
    Axis(name(), scale: count(0...2) == 0 ? .logarithmic : .linear, isWhole: count(0...3) == 0)
  }

  /// Short and long names, and none.
  private mutating func name() -> String {
    (0..<count(0...8)).map { _ in String("abcdefghijklmnopqrstuvwxyz".shuffled(using: &random).prefix(count(1...12))) }
      .joined(separator: " ")
  }

  private mutating func rules() -> [Rule] {
    (0..<count(0...3)).map { _ in
      let value = number(size: 10)
      return Bool.random(using: &random) ? .vertical(at: value, name()) : .horizontal(at: value, name())
    }
  }

  mutating func lines() -> any Chart {
    let series = (0..<count(0...10)).map { _ in
      let points = count(0...60)
      return LineChart.Series(
        name(), x: numbers(points), y: estimates(points), spread: Bool.random(using: &random) ? .bars : .band)
    }
    return LineChart(x: axis(), y: axis(), series: series, rules: rules())
  }

  mutating func histogram() -> any Chart {
    let series = (0..<count(0...3)).map { _ in
      let bins = count(1...30)
      return HistogramChart.Series(name(), edges: numbers(bins + 1).sorted(), counts: numbers(bins))
    }
    return HistogramChart(x: name(), series: series, rules: [.vertical(at: number(size: 1), name())])
  }

  mutating func bars(_ direction: BarChart.Direction) -> any Chart {
    let groups = (0..<count(0...12)).map { _ in name() }
    let series = (0..<count(1...6)).map { _ in BarChart.Series(name(), estimates(groups.count)) }
    return BarChart(name(), direction, groups: groups, series: series)
  }

  mutating func love() -> any Chart {
    LovePlot(rows: (0..<count(0...30)).map { _ in .init(name(), before: number(size: 1), after: number(size: 1)) })
  }

  mutating func reliability() -> any Chart {
    let series = (0..<count(0...2)).map { _ in
      let bins = (0..<count(0...12)).map { _ in
        ReliabilityChart.Bin(
          forecast: random.real(in: 0...1), share: random.real(in: 0...1), count: Double(count(0...1000)))
      }
      return ReliabilityChart.Series(name(), bins)
    }
    return ReliabilityChart(series: series)
  }

  mutating func scatter() -> any Chart {
    let (x, y) = (axis(), axis())
    let series = (0..<count(0...3)).map { _ in
      let points = count(0...50)
      return ScatterChart.Series(name(), x: numbers(points), y: numbers(points))
    }
    return ScatterChart(x: x, y: y, series: series, diagonal: x.scale == y.scale ? name() : nil)
  }
}
