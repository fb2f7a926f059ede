/// Whether forecasts are as often right as they say: observed share against forecast, with the diagonal of a calibrated
/// forecast. The area of a point is proportional to the count of its bin.
package struct ReliabilityChart: Chart {
  /// Forecasts that are near to each other.
  package struct Bin: Sendable {
    let forecast: Double
    let share: Double
    let count: Double

    /// - Parameters:
    ///   - forecast: mean of the bin's forecasts.
    ///   - share: of the bin's cases in which what was forecast is so.
    ///   - count: cases in the bin; a bin without cases is not drawn.
    package init(forecast: Double, share: Double, count: Double) {
      (self.forecast, self.share, self.count) = (forecast, share, count)
    }
  }

  /// The bins of one forecaster.
  package struct Series: Sendable {
    let name: String
    let bins: [Bin]

    package init(_ name: String, _ bins: [Bin]) { (self.name, self.bins) = (name, bins.filter { $0.count != 0 }) }
  }

  private let x: Axis
  private let y: Axis
  private let series: [Series]

  package init(x: String = "mean forecast", y: String = "observed share", series: [Series]) {
    self.x = Axis(x, covering: 0...1)
    self.y = Axis(y, covering: 0...1)
    self.series = series
  }

  package var plot: Plot {
    let bins = series.flatMap(\.bins)
    let shown = bins.filter(isDrawable)
    var plot = Plot(
      kind: "Reliability diagram", x: .init(axis: x, values: shown.map(\.forecast)),
      y: .init(axis: y, values: shown.map(\.share)))
    plot.height = .square
    plot.legend =
      series.enumerated().map { LegendEntry($1.name, .bubble(series: $0)) } + [LegendEntry("calibrated", .diagonal)]
    plot.leftOut = bins.count - shown.count
    plot.hasData = !shown.isEmpty
    let most = shown.map(\.count).max() ?? 1
    plot.marks = { area in [area.diagonal()] + series.indices.map { drawn($0, most: most, on: area) } }
    return plot
  }

  private func isDrawable(_ bin: Bin) -> Bool {
    x.accepts(bin.forecast) && y.accepts(bin.share) && bin.count > 0 && bin.count.isFinite
  }

  private func drawn(_ index: Int, most: Double, on area: PlotArea) -> Markup {
    let bins = series[index].bins.filter(isDrawable)
    let places = bins.map { area.position($0.forecast, $0.share) }
    let bubbles = zip(bins, places).map { bin, place in
      Markup.circle(
        place, radius: 10 * (bin.count / most).squareRoot(), "bubble", tip: tip(bin, of: series[index].name))
    }
    let centres = places.map { Markup.circle($0, radius: 1.5, "point") }
    return Markup("g", ["class": Palette.style(index)], bubbles + centres)
  }

  private func tip(_ bin: Bin, of name: String) -> String {
    Reports.tip(
      name, "\(x.title): \(NumberText.brief(bin.forecast))", "\(y.title): \(NumberText.brief(bin.share))",
      "count: \(NumberText.brief(bin.count))")
  }
}
