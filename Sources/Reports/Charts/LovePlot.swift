/// Balance of covariates before and after weighting (Love 2004): one row for each, with dashed lines at thresholds.
package struct LovePlot: Chart {
  /// A covariate and how far the two domains differ in it.
  package struct Row: Sendable {
    let name: String
    let before: Double
    let after: Double

    package init(_ name: String, before: Double, after: Double) {
      (self.name, self.before, self.after) = (name, before, after)
    }
  }

  private let x: Axis
  private let rows: [Row]
  private let thresholds: [Double]

  /// - Parameters:
  ///   - title: of the x axis.
  ///   - rows: from top to bottom.
  ///   - thresholds: positive; drawn on both sides of zero where differences have signs.
  package init(
    x title: String = "standardised mean difference", rows: [Row], thresholds: [Double] = [0.1, 0.25]
  ) {
    (x, self.rows, self.thresholds) = (Axis(title, covering: 0...0), rows, thresholds)
  }

  package var plot: Plot {
    let values = rows.flatMap { [$0.before, $0.after] }
    let shown = values.filter(x.accepts)
    var plot = Plot(
      kind: "Love plot", x: .init(axis: x, values: shown),
      y: .init(axis: Axis(""), categories: rows.reversed().map(\.name)))
    plot.height = .fixed(18 * Double(max(rows.count, 4)))
    plot.legend = [
      LegendEntry("before", .marker(series: 1, isHollow: true)),
      LegendEntry("after", .marker(series: 0, isHollow: false)),
    ]
    plot.leftOut = values.count - shown.count
    plot.hasData = !shown.isEmpty
    plot.add(rules(isSigned: shown.contains { $0 < 0 }))
    plot.marks = { area in rows.indices.flatMap { drawn($0, on: area) } }
    return plot
  }

  private func rules(isSigned: Bool) -> [Rule] {
    thresholds.enumerated().flatMap { index, threshold in
      let name = "\(isSigned ? "±" : "")\(NumberText.brief(threshold))"
      return [Rule.vertical(at: threshold, name)] + (isSigned ? [.vertical(at: -threshold, "")] : [])
    }
  }

  private func drawn(_ index: Int, on area: PlotArea) -> [Markup] {
    let row = rows[index]
    let height = area.y(Double(rows.count - 1 - index))
    let tip = tip(
      row.name, "before: \(NumberText.brief(row.before))", "after: \(NumberText.brief(row.after))")
    func place(_ value: Double) -> Position? { x.accepts(value) ? Position(x: area.x(value), y: height) : nil }
    let (before, after) = (place(row.before), place(row.after))
    let way = before.flatMap { start in after.map { Markup.line(start, $0, "way") } }
    return [
      way, before.map { .marker($0, series: 1, "\(Palette.style(1)) hollow", tip: tip) },
      after.map { .marker($0, series: 0, "\(Palette.style(0)) point", tip: tip) },
    ].compactMap { $0 }
  }
}
