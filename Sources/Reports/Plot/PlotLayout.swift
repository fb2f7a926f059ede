/// Where the parts of a chart lie, from top to bottom: legend, area of the marks, labels, axis title, note.
struct PlotLayout {
  static let fontSize = 12.0
  static let lineHeight = 14.0
  /// From the area to the labels of its axes.
  static let labelDistance = 8.0
  private static let titleHeight = 20.0
  private static let margin = 12.0

  let legend: Legend
  let area: PlotArea
  /// Labels below the area, each in lines.
  let xLabels: [[String]]
  /// Labels to the left of the area.
  let yLabels: [String]
  /// Baselines of what stands below the labels.
  let titleBaseline: Double
  let noteBaseline: Double
  let height: Double

  /// Lays out a chart of the given width. What is left of it grows with its labels, and its height with its legend.
  init(_ plot: Plot, width: Double) {
    let yScale = plot.y.scale(ticks: plot.height == .square ? 6 : 5)
    yLabels = yScale.ticks.map { TextMeasure.fitted($0.label, width: 0.45 * width, size: Self.fontSize) }
    let beside = (plot.y.axis.title.isEmpty ? 2 : Self.titleHeight) + Self.widest(yLabels) + Self.labelDistance
    let xScale = Self.scale(plot.x, width: width - beside)
    let (left, right) = Self.margins(of: xScale, beside: beside)
    legend = Legend(plot.hasData ? plot.legend : [], left: left, width: width - left)
    area = PlotArea(
      left: left, top: legend.height + Self.margin, width: width - left - right,
      height: plot.height.value(width: width - left - right), xScale: xScale, yScale: yScale)
    xLabels = Self.labels(area)

    let lines = plot.hasData ? xLabels.map(\.count).max() ?? 0 : 0
    let labelsEnd = area.bottom + Self.labelDistance + Double(lines) * Self.lineHeight
    titleBaseline = labelsEnd + 13
    let titleEnd = labelsEnd + (plot.x.axis.title.isEmpty ? 2 : Self.titleHeight)
    noteBaseline = titleEnd + 12
    height = titleEnd + (plot.note == nil ? 0 : 18)
  }

  /// The scale with as many ticks as have room for their labels beside each other.
  private static func scale(_ dimension: Plot.Dimension, width: Double) -> AxisScale {
    let scales = stride(from: 10, to: 2, by: -1).lazy.map { dimension.scale(ticks: $0) }
    let roomy = scales.first { scale in
      Double(scale.ticks.count) * (widest(scale.ticks.map(\.label)) + 24) <= width
    }
    return roomy ?? dimension.scale(ticks: 2)
  }

  /// Room to the left and right of the area, also for the halves of the outermost labels below it.
  private static func margins(of xScale: AxisScale, beside: Double) -> (left: Double, right: Double) {
    if xScale.isCategorical { return (beside, 4) }
    let labels = xScale.ticks.map(\.label)
    return (max(beside, widest(labels.prefix(1)) / 2), max(margin, widest(labels.suffix(1)) / 2))
  }

  /// Names share the width between them; numbers are never cut.
  private static func labels(_ area: PlotArea) -> [[String]] {
    guard area.xScale.isCategorical else { return area.xScale.ticks.map { [$0.label] } }
    return area.xScale.ticks.map {
      TextMeasure.lines($0.label, width: area.slotWidth - 8, size: fontSize, atMost: 3)
    }
  }

  private static func widest(_ labels: some Sequence<String>) -> Double {
    labels.map { TextMeasure.width($0, size: fontSize) }.max() ?? 0
  }
}
