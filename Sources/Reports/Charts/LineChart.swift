/// Curves, with error bars or bands where intervals are known. A value that cannot be drawn leaves a gap in its curve.
package struct LineChart: Chart {
  /// How intervals are drawn.
  package enum Spread: Sendable {
    case bars
    case band
  }

  /// One curve through points in the order given.
  package struct Series: Sendable {
    let name: String
    let points: [(x: Double, y: Estimate)]
    let spread: Spread

    /// - Parameters:
    ///   - name: for the legend; empty is not named there.
    ///   - x: one for each value.
    package init(_ name: String, x: [Double], y: [Estimate], spread: Spread = .bars) {
      precondition(x.count == y.count, "\(x.count) places for \(y.count) values")
      (self.name, self.spread) = (name, spread)
      points = Array(zip(x, y))
    }

    package init(_ name: String, x: [Double], y: [Double]) { self.init(name, x: x, y: y.map { Estimate($0) }) }

    /// Marks of points help as long as they can be told apart.
    var hasMarkers: Bool { points.count <= 40 }
  }

  private let x: Axis
  private let y: Axis
  private let series: [Series]
  private let rules: [Rule]

  package init(x: Axis, y: Axis, series: [Series], rules: [Rule] = []) {
    (self.x, self.y, self.series, self.rules) = (x, y, series, rules)
  }

  package var plot: Plot {
    let points = series.flatMap(\.points)
    let shown = points.filter(isDrawable)
    var plot = Plot(
      kind: "Line chart", x: .init(axis: x, values: shown.map(\.x)),
      y: .init(axis: y, values: shown.flatMap { $0.y.extent(on: y) }))
    plot.legend = series.enumerated().map { LegendEntry($1.name, .line(series: $0, hasMarkers: $1.hasMarkers)) }
    plot.leftOut = points.count { !isDrawable($0) || $0.y.leftOut(on: y) > 0 }
    plot.hasData = !shown.isEmpty
    plot.add(rules)
    plot.marks = { area in series.indices.map { drawn($0, on: area) } }
    return plot
  }

  private func isDrawable(_ point: (x: Double, y: Estimate)) -> Bool { x.accepts(point.x) && y.accepts(point.y.value) }

  private func drawn(_ index: Int, on area: PlotArea) -> Markup {
    let runs = series[index].points.split { !isDrawable($0) }
    let shift = series[index].spread == .bars ? dodge(index) : 0
    return Markup(
      "g", ["class": Palette.style(index)], runs.map { run(Array($0), of: index, on: area, shift: shift) })
  }

  /// Error bars of several series stand beside each other, not on each other.
  private func dodge(_ index: Int) -> Double {
    let hasBars = series.contains { $0.spread == .bars && $0.points.contains { $0.y.interval != nil } }
    return hasBars ? min(4, 16 / Double(series.count)) * (Double(index) - Double(series.count - 1) / 2) : 0
  }

  /// Points without a gap between them.
  private func run(_ points: [(x: Double, y: Estimate)], of index: Int, on area: PlotArea, shift: Double) -> Markup {
    let series = series[index]
    let places = points.map { Position(x: area.x($0.x) + shift, y: area.y($0.y.value)) }
    let dashes = series.hasMarkers ? "" : " d\(index % Palette.count)"
    var parts = spread(points, of: series, on: area, shift: shift)
    if places.count > 1 { parts.append(.polyline(places, "line\(dashes)")) }
    if series.hasMarkers || places.count == 1 {
      parts += zip(points, places).map { .marker($1, series: index, "point", tip: tip($0, of: series)) }
    }
    return Markup(parts)
  }

  private func spread(
    _ points: [(x: Double, y: Estimate)], of series: Series, on area: PlotArea, shift: Double
  ) -> [Markup] {
    let ranges = points.map { point in
      point.y.interval(on: y).map { interval in
        (
          low: Position(x: area.x(point.x) + shift, y: area.y(interval.low)),
          high: Position(x: area.x(point.x) + shift, y: area.y(interval.high))
        )
      }
    }
    switch series.spread {
    case .bars: return ranges.compactMap(\.self).flatMap { Markup.errorBar($0.low, $0.high, "error") }
    case .band:
      return ranges.split { $0 == nil }.map { run in
        let known = run.compactMap(\.self)
        return .polygon(known.map(\.high) + known.reversed().map(\.low), "band")
      }
    }
  }

  private func tip(_ point: (x: Double, y: Estimate), of series: Series) -> String {
    Reports.tip(series.name, "\(x.title): \(NumberText.brief(point.x))", "\(y.title): \(point.y.text)")
  }
}
