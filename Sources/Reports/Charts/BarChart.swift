/// Bars in groups, from zero, with error bars where intervals are known.
package struct BarChart: Chart {
  /// Where bars go.
  package enum Direction: Sendable {
    /// Groups stand beside each other.
    case up
    /// Groups stand below each other, where their names may be long.
    case right
  }

  /// One bar in each group.
  package struct Series: Sendable {
    let name: String
    let values: [Estimate]

    package init(_ name: String, _ values: [Estimate]) { (self.name, self.values) = (name, values) }

    package init(_ name: String, _ values: [Double]) { self.init(name, values.map { Estimate($0) }) }
  }

  private let axis: Axis
  private let direction: Direction
  private let groups: [String]
  private let series: [Series]
  private let rules: [Rule]

  /// - Parameters:
  ///   - title: of the axis of values.
  ///   - groups: names of the groups, from left to right or from top to bottom.
  ///   - series: each has a value for every group.
  ///   - rules: across the axis of values.
  package init(
    _ title: String, _ direction: Direction = .up, groups: [String], series: [Series], rules: [Rule] = []
  ) {
    let across = direction == .up ? Rule.Direction.horizontal : .vertical
    precondition(series.allSatisfy { $0.values.count == groups.count }, "a series needs a value for every group")
    precondition(rules.allSatisfy { $0.direction == across }, "rules of bars lie across their axis of values")
    axis = Axis(title, covering: 0...0)
    (self.direction, self.groups, self.series, self.rules) = (direction, groups, series, rules)
  }

  package var plot: Plot {
    let values = series.flatMap(\.values)
    let extent = values.flatMap { $0.extent(on: axis) }
    let numbers = Plot.Dimension(axis: axis, values: extent)
    var plot =
      switch direction {
      case .up: Plot(kind: "Bar chart", x: .init(axis: Axis(""), categories: groups), y: numbers)
      case .right: Plot(kind: "Bar chart", x: numbers, y: .init(axis: Axis(""), categories: groups.reversed()))
      }
    if direction == .right { plot.height = .fixed(Double(max(groups.count, 4) * (12 * series.count + 10))) }
    plot.legend = series.enumerated().map { LegendEntry($1.name, .bar(series: $0)) }
    plot.leftOut = values.reduce(0) { $0 + $1.leftOut(on: axis) }
    plot.hasData = !extent.isEmpty
    plot.add(rules)
    plot.marks = { area in series.indices.map { drawn($0, on: area) } }
    return plot
  }

  private func drawn(_ index: Int, on area: PlotArea) -> Markup {
    let parts = groups.indices.filter { axis.accepts(series[index].values[$0].value) }.flatMap {
      bar(group: $0, of: index, on: area)
    }
    return Markup("g", ["class": Palette.style(index)], parts)
  }

  private func bar(group: Int, of index: Int, on area: PlotArea) -> [Markup] {
    let estimate = series[index].values[group]
    let slot = direction == .up ? area.slotWidth : area.slotHeight
    let width = min(48, 0.8 * slot / Double(series.count))
    let shift = width * (Double(index) - Double(series.count - 1) / 2)

    /// Where a value lies, so far across from the middle of the bar.
    func place(_ value: Double, _ across: Double) -> Position {
      switch direction {
      case .up: Position(x: area.x(Double(group)) + shift + across, y: area.y(value))
      case .right: Position(x: area.x(value), y: area.y(Double(groups.count - 1 - group)) + shift + across)
      }
    }
    let tip = tip(groups[group], series[index].name, estimate.text)
    let bar = Markup.rectangle(place(0, -width / 2), place(estimate.value, width / 2), "bar", tip: tip)
    let error = estimate.interval(on: axis).map {
      Markup.errorBar(place($0.low, 0), place($0.high, 0), "error dark")
    }
    return [bar] + (error ?? [])
  }
}
