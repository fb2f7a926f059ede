/// Points, and the diagonal on which two quantities are equal: for quantiles against quantiles.
package struct ScatterChart: Chart {
  /// Points of one kind.
  package struct Series: Sendable {
    let name: String
    let points: [(x: Double, y: Double)]

    package init(_ name: String, x: [Double], y: [Double]) {
      precondition(x.count == y.count, "\(x.count) places for \(y.count) values")
      self.name = name
      points = Array(zip(x, y))
    }
  }

  private let x: Axis
  private let y: Axis
  private let series: [Series]
  private let diagonal: String?

  /// - Parameter diagonal: name of the line y = x; nil is none. It needs two axes of the same scale.
  package init(x: Axis, y: Axis, series: [Series], diagonal: String? = nil) {
    precondition(diagonal == nil || x.scale == y.scale, "a diagonal needs two axes of the same scale")
    (self.x, self.y, self.series, self.diagonal) = (x, y, series, diagonal)
  }

  package var plot: Plot {
    let points = series.flatMap(\.points)
    let shown = points.filter(isDrawable)
    var plot = Plot(
      kind: "Scatter chart", x: .init(axis: x, values: shown.map(\.x)), y: .init(axis: y, values: shown.map(\.y)))
    plot.height = .square
    plot.legend = series.enumerated().map { LegendEntry($1.name, .marker(series: $0, isHollow: true)) }
    if let diagonal { plot.legend.append(LegendEntry(diagonal, .diagonal)) }
    plot.leftOut = points.count - shown.count
    plot.hasData = !shown.isEmpty
    plot.marks = { area in
      (diagonal == nil ? [] : [area.diagonal()]) + series.indices.map { drawn($0, on: area) }
    }
    return plot
  }

  private func isDrawable(_ point: (x: Double, y: Double)) -> Bool { x.accepts(point.x) && y.accepts(point.y) }

  private func drawn(_ index: Int, on area: PlotArea) -> Markup {
    Markup(
      "g", ["class": Palette.style(index)],
      series[index].points.filter(isDrawable).map { point in
        let tip = tip(
          series[index].name, "\(x.title): \(NumberText.brief(point.x))", "\(y.title): \(NumberText.brief(point.y))")
        return .marker(area.position(point.x, point.y), series: index, "hollow", tip: tip)
      })
  }
}

extension PlotArea {
  /// The line y = x, as far as both axes go; nothing where they have no value in common.
  func diagonal() -> Markup {
    let low = max(xScale.bounds.lowerBound, yScale.bounds.lowerBound)
    let high = min(xScale.bounds.upperBound, yScale.bounds.upperBound)
    return low < high ? .line(position(low, low), position(high, high), "diagonal") : Markup([])
  }
}
