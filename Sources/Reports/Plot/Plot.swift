/// What every chart comes down to: two axes, a legend, and marks on the area between them.
package struct Plot: Sendable {
  /// What is shown along one direction.
  struct Dimension: Sendable {
    let axis: Axis
    /// Numbers that the axis has to reach.
    var values: [Double] = []
    /// Names instead of numbers.
    var categories: [String]?

    /// The scale with about so many ticks.
    func scale(ticks: Int) -> AxisScale {
      if let categories { return AxisScale(categories: categories) }
      return AxisScale(axis, values: values, ticks: ticks)
    }
  }

  /// How high the area of the marks is.
  enum Height: Sendable, Equatable {
    case fixed(Double)
    /// As high as it is wide, up to a limit.
    case square

    func value(width: Double) -> Double {
      switch self {
      case .fixed(let height): height
      case .square: min(width, 400)
      }
    }
  }

  /// What kind of chart this is, for readers who do not see it.
  let kind: String
  var x: Dimension
  var y: Dimension
  var height = Height.fixed(250)
  var legend: [LegendEntry] = []
  /// Lines that mark a value, each with the number of its style.
  private(set) var rules: [(rule: Rule, style: Int)] = []
  /// Numbers that cannot be drawn.
  var leftOut = 0
  /// Whether there is anything to draw.
  var hasData = true
  /// Draws the data.
  var marks: @Sendable (PlotArea) -> [Markup] = { _ in [] }

  /// Takes over lines that mark a value: axes reach them and the legend names them. One without a name looks like the one
  /// before it.
  mutating func add(_ rules: [Rule]) {
    for rule in rules {
      let axis = rule.direction == .vertical ? x.axis : y.axis
      guard axis.accepts(rule.value) else {
        leftOut += 1
        continue
      }
      if rule.direction == .vertical { x.values.append(rule.value) } else { y.values.append(rule.value) }
      let style = (self.rules.last?.style ?? -1) + (rule.label.isEmpty ? 0 : 1)
      legend.append(LegendEntry(rule.label, .rule(style)))
      self.rules.append((rule, max(style, 0)))
    }
  }

  /// What a reader is told who does not see the chart.
  var summary: String {
    let axes = [y.axis.title, x.axis.title].filter { !$0.isEmpty }.joined(separator: " against ")
    let names = legend.map(\.label).filter { !$0.isEmpty }.joined(separator: "; ")
    return [kind + (axes.isEmpty ? "" : ": \(axes)"), hasData ? names : "no data"].filter { !$0.isEmpty }
      .joined(separator: ". ")
  }

  /// What is said below the chart of the numbers that are missing in it.
  var note: String? {
    guard leftOut > 0 else { return nil }
    let isLogarithmic = x.axis.scale == .logarithmic || y.axis.scale == .logarithmic
    return "\(leftOut) value\(leftOut == 1 ? "" : "s") left out: not finite\(isLogarithmic ? " or not positive" : "")"
  }
}

/// A dashed line across a chart at one value of an axis: a threshold, a baseline, a choice.
package struct Rule: Sendable {
  enum Direction: Sendable {
    case vertical
    case horizontal
  }

  let direction: Direction
  let value: Double
  let label: String

  /// From bottom to top, at a value of the x axis.
  package static func vertical(at value: Double, _ label: String) -> Rule {
    Rule(direction: .vertical, value: value, label: label)
  }

  /// From left to right, at a value of the y axis.
  package static func horizontal(at value: Double, _ label: String) -> Rule {
    Rule(direction: .horizontal, value: value, label: label)
  }
}

/// The rectangle in which marks are drawn, and the way from values to places in it.
struct PlotArea: Sendable {
  let left: Double
  let top: Double
  let width: Double
  let height: Double
  let xScale: AxisScale
  let yScale: AxisScale

  var right: Double { left + width }
  var bottom: Double { top + height }
  var centre: Position { Position(x: left + width / 2, y: top + height / 2) }

  func x(_ value: Double) -> Double { left + width * xScale.fraction(value) }
  func y(_ value: Double) -> Double { bottom - height * yScale.fraction(value) }
  func position(_ x: Double, _ y: Double) -> Position { Position(x: self.x(x), y: self.y(y)) }

  /// The length of one unit of each axis, in the drawing; for axes of names.
  var slotWidth: Double { width / (xScale.bounds.upperBound - xScale.bounds.lowerBound) }
  var slotHeight: Double { height / (yScale.bounds.upperBound - yScale.bounds.lowerBound) }
}
