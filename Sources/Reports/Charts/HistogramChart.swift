/// Histograms over each other. The area of a bin is proportional to its count, also where bins differ in width.
package struct HistogramChart: Chart {
  /// Counts between edges.
  package struct Series: Sendable {
    let name: String
    let bins: [Bin]

    /// - Parameters:
    ///   - edges: one more than counts, or none.
    ///   - counts: of the bins between edges that follow each other.
    package init(_ name: String, edges: [Double], counts: [Double]) {
      precondition(
        edges.count == counts.count + 1 || edges.isEmpty && counts.isEmpty,
        "\(edges.count) edges around \(counts.count) bins")
      self.name = name
      bins = counts.indices.map { Bin(lower: edges[$0], upper: edges[$0 + 1], count: counts[$0]) }
    }
  }

  struct Bin: Sendable {
    let lower: Double
    let upper: Double
    let count: Double

    var width: Double { upper - lower }
    var text: String { "\(NumberText.brief(lower)) to \(NumberText.brief(upper)): \(NumberText.brief(count))" }
  }

  private let x: Axis
  private let series: [Series]
  private let rules: [Rule]

  /// - Parameter title: of the x axis.
  package init(x title: String, series: [Series], rules: [Rule] = []) {
    (x, self.series, self.rules) = (Axis(title), series, rules)
  }

  package var plot: Plot {
    let bins = series.flatMap(\.bins)
    let shown = bins.filter(isDrawable)
    let unit = commonWidth(of: shown)
    let y = Axis(unit == nil ? "count per unit" : "count", covering: 0...0)
    var plot = Plot(
      kind: "Histogram", x: .init(axis: x, values: shown.flatMap { [$0.lower, $0.upper] }),
      y: .init(axis: y, values: shown.map { height($0, unit: unit) }))
    plot.legend = series.enumerated().map { LegendEntry($1.name, .bin(series: $0)) }
    plot.leftOut = bins.count - shown.count
    plot.hasData = !shown.isEmpty
    plot.add(rules)
    plot.marks = { area in series.indices.map { drawn($0, unit: unit, on: area) } }
    return plot
  }

  private func isDrawable(_ bin: Bin) -> Bool {
    x.accepts(bin.lower) && x.accepts(bin.upper) && bin.width > 0 && bin.count >= 0 && x.accepts(bin.count / bin.width)
  }

  /// The width of all bins, if they have the same.
  private func commonWidth(of bins: [Bin]) -> Double? {
    guard let least = bins.map(\.width).min(), let greatest = bins.map(\.width).max() else { return 1 }
    return greatest - least <= 1e-6 * greatest ? greatest : nil
  }

  private func height(_ bin: Bin, unit: Double?) -> Double { unit == nil ? bin.count / bin.width : bin.count }

  private func drawn(_ index: Int, unit: Double?, on area: PlotArea) -> Markup {
    let bins = series[index].bins.filter(isDrawable)
    let bars = bins.map { bin in
      Markup.rectangle(
        area.position(bin.lower, 0), area.position(bin.upper, height(bin, unit: unit)), "bin",
        tip: tip(series[index].name, bin.text))
    }
    let outline = bins.flatMap { bin in
      [bin.lower, bin.upper].map { area.position($0, height(bin, unit: unit)) }
    }
    let ends = [bins.first?.lower, bins.last?.upper].compactMap { $0 }.map { area.position($0, 0) }
    return Markup(
      "g", ["class": Palette.style(index)],
      bars + [.polyline(ends.prefix(1) + outline + ends.suffix(1), "line outline")])
  }
}
