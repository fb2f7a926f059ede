/// Data that can be drawn. Values that are not finite are left out and counted in a note; without data a chart says so.
package protocol Chart: Sendable {
  /// What the chart comes down to.
  var plot: Plot { get }
}

extension Chart {
  /// The chart as an SVG image of its own units; its colours are those of the page that it stands in.
  package func svg(width: Double = 460) -> String { plot.drawn(width: width).source }
}

/// A number, with the interval that it is known within if there is one.
package struct Estimate: Sendable {
  package let value: Double
  /// Lower and upper end.
  package let interval: (low: Double, high: Double)?

  package init(_ value: Double) { (self.value, interval) = (value, nil) }

  /// From value − error to value + error.
  package init(_ value: Double, error: Double) { self.init(value, low: value - error, high: value + error) }

  package init(_ value: Double, low: Double, high: Double) { (self.value, interval) = (value, (low, high)) }

  /// The interval if it can be drawn on an axis.
  func interval(on axis: Axis) -> (low: Double, high: Double)? {
    interval.flatMap { axis.accepts($0.low) && axis.accepts($0.high) ? $0 : nil }
  }

  /// How many of its numbers cannot be drawn on an axis: the value (and with it the interval), or the interval alone.
  func leftOut(on axis: Axis) -> Int {
    !axis.accepts(value) || (interval != nil && interval(on: axis) == nil) ? 1 : 0
  }

  /// The numbers that an axis has to reach.
  func extent(on axis: Axis) -> [Double] {
    guard axis.accepts(value) else { return [] }
    return [value] + (interval(on: axis).map { [$0.low, $0.high] } ?? [])
  }

  /// In words, for tips.
  var text: String {
    let range = interval.map { " (\(NumberText.brief($0.low)) to \(NumberText.brief($0.high)))" }
    return NumberText.brief(value) + (range ?? "")
  }
}

/// What a reader sees who points at a mark; lines without text are left out.
func tip(_ lines: String...) -> String { lines.filter { !$0.isEmpty }.joined(separator: "\n") }
