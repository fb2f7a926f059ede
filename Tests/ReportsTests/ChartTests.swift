import Foundation
import Reports
import Testing

@Suite("Charts")
struct ChartTests {
  /// Coordinates are rounded to two decimals; a length is the difference of two.
  private static let rounding = 0.011

  private func parsed(_ chart: some Chart, width: Double = 418) throws -> Element {
    try Element.parse(chart.svg(width: width))
  }

  /// Width and height of a chart's drawing.
  private func size(_ chart: Element) -> (width: Double, height: Double) {
    let box = chart.attributes["viewBox", default: ""].split(separator: " ").compactMap { Double($0) }
    return box.count == 4 ? (box[2], box[3]) : (.nan, .nan)
  }

  private func line(_ x: [Double], _ y: [Double], scale: Axis.Scale = .linear) -> LineChart {
    LineChart(x: Axis("x"), y: Axis("y", scale: scale), series: [.init("a", x: x, y: y)])
  }

  @Test(arguments: SampleCharts.kinds.keys.sorted())
  func everythingLiesInsideTheDrawing(kind: String) throws {
    let make = try #require(SampleCharts.kinds[kind])
    for seed in 0..<100 as Range<UInt64> {
      var samples = SampleCharts(seed: seed)
      let width = seed.isMultiple(of: 2) ? 418.0 : 860
      let chart = try parsed(make(&samples), width: width)
      let size = size(chart)
      #expect(size.width == width && (60...2000).contains(size.height))
      let outside = chart.all.filter {
        $0.places.contains {
          !(-Self.rounding...size.width + Self.rounding).contains($0.x)
            || !(-Self.rounding...size.height + Self.rounding).contains($0.y)
        }
      }
      #expect(outside.isEmpty, "\(kind), seed \(seed)")
    }
  }

  @Test(arguments: SampleCharts.kinds.keys.sorted())
  func equalDataGiveEqualBytes(kind: String) throws {
    let make = try #require(SampleCharts.kinds[kind])
    for seed in 0..<20 as Range<UInt64> {
      var (first, second) = (SampleCharts(seed: seed), SampleCharts(seed: seed))
      #expect(make(&first).svg() == make(&second).svg())
    }
  }

  @Test func chartsWithoutDataSaySo() throws {
    let axis = Axis("a", covering: 0...1)
    let empty: [any Chart] = [
      LineChart(x: axis, y: axis, series: [], rules: [.vertical(at: 0.5, "r")]), line([], []), line([.nan], [1]),
      HistogramChart(x: "", series: []), HistogramChart(x: "", series: [.init("", edges: [], counts: [])]),
      HistogramChart(x: "", series: [.init("", edges: [1, 1], counts: [3])]),
      BarChart("", groups: [], series: []), BarChart("", .right, groups: ["a"], series: [.init("", [.nan])]),
      LovePlot(rows: []), ReliabilityChart(series: []),
      ReliabilityChart(series: [.init("", [.init(forecast: 0, share: 0, count: 0)])]),
      ScatterChart(x: axis, y: axis, series: [], diagonal: "d"),
    ]
    for chart in empty {
      let drawing = try parsed(chart)
      #expect(drawing.styled("empty").map(\.text) == ["no data"])
      #expect(drawing.attributes["aria-label"]?.hasSuffix("no data") == true)
      #expect(drawing.styled("label").isEmpty)
    }
  }

  @Test func drawnChartsSayWhatTheyShow() throws {
    let chart = LineChart(
      x: Axis("round"), y: Axis("gold reward"),
      series: [.init("weighted", x: [0, 1], y: [1, 2] as [Double]), .init("source", x: [0], y: [1] as [Double])],
      rules: [.horizontal(at: 3, "oracle")])
    let drawing = try parsed(chart)
    #expect(drawing.attributes["role"] == "img")
    #expect(drawing.attributes["aria-label"] == "Line chart: gold reward against round. weighted; source; oracle")
    #expect(drawing.styled("empty").isEmpty)
    #expect(drawing.styled("legend").flatMap { $0.named("text") }.map(\.text) == ["weighted", "source", "oracle"])
  }

  @Test func legendsStandAboveThePlot() throws {
    let series = (0..<9).map { LineChart.Series("series number \($0)", x: [0, 1], y: [0, 1] as [Double]) }
    let drawing = try parsed(LineChart(x: Axis("x"), y: Axis("y"), series: series))
    let top = try #require(drawing.styled("axis").flatMap(\.places).map(\.y).min())
    let legend = drawing.styled("legend").flatMap(\.all).flatMap(\.places)
    #expect(legend.count > 27 && legend.allSatisfy { $0.y < top })
    #expect(Set(drawing.styled("legend").flatMap { $0.named("text") }.map { $0["y"] }).count > 1, "one row is too few")
  }

  @Test(arguments: [Axis.Scale.linear, .logarithmic])
  func pointsStandWhereTheTicksSay(scale: Axis.Scale) throws {
    let values: [Double] = [1, 10, 100]
    let axis = Axis("", scale: scale)
    let drawing = try parsed(LineChart(x: axis, y: axis, series: [.init("", x: values, y: values)]))
    let labels = drawing.styled("label")
    let points = drawing.styled("point")
    #expect(points.count == 3)
    for (value, point) in zip(["1", "10", "100"], points) where scale == .logarithmic || value == "100" {
      let below = try #require(labels.first { $0.text == value && $0.attributes["text-anchor"] == "middle" })
      let beside = try #require(labels.first { $0.text == value && $0.attributes["text-anchor"] == "end" })
      #expect(abs(below["x"] - point["cx"]) < Self.rounding)
      #expect(abs(beside["y"] - 4 - point["cy"]) < Self.rounding)
    }
  }

  @Test func valuesThatAreNotFiniteAreCountedAndLeaveGaps() throws {
    let drawing = try parsed(line([0, 1, 2, 3, 4, .infinity], [1, 2, .nan, 2, 1, 0]))
    #expect(drawing.styled("note").map(\.text) == ["2 values left out: not finite"])
    #expect(drawing.styled("line").filter { $0.name == "polyline" }.map(\.places.count) == [2, 2])
    #expect(drawing.styled("point").filter { !$0.named("title").isEmpty }.count == 4)
    #expect(try parsed(line([0, 1], [1, 2])).styled("note").isEmpty)
  }

  @Test func valuesThatAreNotPositiveAreLeftOutOfLogarithmicAxes() throws {
    let drawing = try parsed(line([0, 1, 2], [0, -1, 10], scale: .logarithmic))
    #expect(drawing.styled("note").map(\.text) == ["2 values left out: not finite or not positive"])
  }

  @Test func aSinglePointIsDrawn() throws {
    #expect(try parsed(line([3], [2.5])).styled("point").filter { !$0.named("title").isEmpty }.count == 1)
    // Also between gaps of a curve that is too long for marks.
    let x = (0..<100).map(Double.init)
    let lonely = try parsed(line(x, x.map { $0 == 50 || $0 > 60 ? $0 : .nan }))
    #expect(lonely.styled("point").count == 1)
  }

  @Test func errorBarsReachFromLowToHigh() throws {
    let estimates = [Estimate(1, error: 0.5), Estimate(2, low: 1, high: 2), Estimate(1.5, error: .nan)]
    let drawing = try parsed(
      LineChart(x: Axis("x"), y: Axis("y", covering: 0...2), series: [.init("a", x: [0, 1, 2], y: estimates)]))
    let bars = drawing.styled("error").filter { $0["x1"] == $0["x2"] }
    let unit = drawing.styled("axis").map { abs($0["y1"] - $0["y2"]) }.max()! / 2
    #expect(bars.count == 2)
    #expect(bars.allSatisfy { abs(abs($0["y1"] - $0["y2"]) - unit) < Self.rounding })
    #expect(drawing.styled("note").map(\.text) == ["1 value left out: not finite"])
  }

  @Test func bandsReachFromLowToHighAndStopAtGaps() throws {
    let estimates = [1, 2, 3, 4, 5].map { Estimate($0, error: $0 == 3 ? .nan : 1) }
    let drawing = try parsed(
      LineChart(
        x: Axis("x"), y: Axis("y"), series: [.init("a", x: [0, 1, 2, 3, 4], y: estimates, spread: .band)]))
    #expect(drawing.styled("band").map(\.places.count) == [4, 4])
  }

  @Test(arguments: [BarChart.Direction.up, .right])
  func barsAreProportionalToValues(direction: BarChart.Direction) throws {
    let values: [Double] = [3, 7, -2, 0, 10]
    let drawing = try parsed(
      BarChart("count", direction, groups: ["a", "b", "c", "d", "e"], series: [.init("", values)]))
    let bars = drawing.named("rect").filter { $0.attributes["class"] == "bar" }
    let lengths = bars.map { $0[direction == .up ? "height" : "width"] }
    #expect(lengths.count == 5)
    for (value, length) in zip(values, lengths) {
      #expect(abs(length - abs(value) * lengths[4] / 10) < 2 * Self.rounding, "\(value)")
    }
    // The negative bar begins where the others end.
    let zero = drawing.styled("zero").first
    #expect(zero?[direction == .up ? "y1" : "x1"] == (direction == .up ? bars[2]["y"] : bars[0]["x"]))
  }

  @Test(arguments: [BarChart.Direction.up, .right])
  func barsBeginAtZeroAlsoWhereAllValuesAreFarFromIt(direction: BarChart.Direction) throws {
    let drawing = try parsed(BarChart("count", direction, groups: ["a", "b"], series: [.init("", [50, 51])]))
    let lengths = drawing.named("rect").map { $0[direction == .up ? "height" : "width"] }
    try #require(lengths.count == 2)
    #expect(abs(lengths[0] * 51 - lengths[1] * 50) < 101 * Self.rounding)
  }

  @Test func barsStandBesideTheirNames() throws {
    let chart = BarChart("count", .right, groups: ["first", "second"], series: [.init("", [1, 2])])
    let drawing = try parsed(chart)
    for (name, bar) in zip(["first", "second"], drawing.named("rect")) {
      let label = try #require(drawing.styled("label").first { $0.text == name })
      #expect(abs(label["y"] - 4 - (bar["y"] + bar["height"] / 2)) < 2 * Self.rounding)
    }
  }

  @Test func areasOfBinsAreProportionalToCounts() throws {
    let equal = HistogramChart.Series("equal", edges: [0, 1, 2, 3], counts: [10, 40, 5])
    let unequal = HistogramChart.Series("unequal", edges: [-1, 0, 0.5, 4], counts: [10, 40, 70])
    for (series, title) in [([equal], "count"), ([equal, unequal], "count per unit")] {
      let drawing = try parsed(HistogramChart(x: "x", series: series), width: 860)
      let bins = drawing.styled("bin").filter { !$0.named("title").isEmpty }
      let counts = series.count == 1 ? [10, 40, 5] : [10, 40, 5, 10, 40, 70.0]
      try #require(bins.count == counts.count)
      #expect(drawing.styled("axis-title").map(\.text) == ["x", title])
      let areas = bins.map { $0["width"] * $0["height"] }
      let perCount = areas.reduce(0, +) / counts.reduce(0, +)
      for ((area, count), bin) in zip(zip(areas, counts), bins) {
        let tolerance = Self.rounding * (bin["width"] + bin["height"]) + count * perCount * 1e-3
        #expect(abs(area - count * perCount) < tolerance, "\(count)")
      }
    }
  }

  @Test func areasOfBubblesAreProportionalToCounts() throws {
    let counts: [Double] = [100, 25, 400]
    let bins = counts.map { ReliabilityChart.Bin(forecast: 0.5, share: 0.5, count: $0) }
    let drawing = try parsed(ReliabilityChart(series: [.init("a", bins)]))
    let radii = drawing.styled("bubble").filter { !$0.named("title").isEmpty }.map { $0["r"] }
    try #require(radii.count == 3)
    for (radius, count) in zip(radii, counts) {
      #expect(abs(radius - radii[2] * (count / 400).squareRoot()) < Self.rounding)
    }
  }

  @Test func calibratedForecastsLieOnTheDiagonalOfASquare() throws {
    let bins = [0, 0.25, 1].map { ReliabilityChart.Bin(forecast: $0, share: $0, count: 9) }
    let drawing = try parsed(ReliabilityChart(series: [.init("a", bins)]))
    let diagonal = try #require(drawing.styled("diagonal").last)
    #expect(abs((diagonal["x2"] - diagonal["x1"]) - (diagonal["y1"] - diagonal["y2"])) < Self.rounding)
    for bubble in drawing.styled("bubble").filter({ !$0.named("title").isEmpty }) {
      #expect(abs((bubble["cx"] - diagonal["x1"]) - (diagonal["y1"] - bubble["cy"])) < 2 * Self.rounding)
    }
  }

  @Test func loveplotsHaveThresholdsOnTheSidesThatMatter() throws {
    for (before, count) in [(0.5, 2), (-0.5, 4)] {
      let drawing = try parsed(LovePlot(rows: [.init("length", before: before, after: 0.05)]))
      let plot = drawing.styled("rule").filter { $0["x1"] == $0["x2"] }
      #expect(plot.count == count)
      let way = try #require(drawing.styled("way").first)
      #expect((way["x2"] < way["x1"]) == (before > 0))
    }
  }

  @Test func rowsOfLovePlotsGoFromTopToBottom() throws {
    let drawing = try parsed(
      LovePlot(rows: [.init("first", before: 1, after: 0), .init("second", before: 2, after: .nan)]))
    let heights = ["first", "second"].compactMap { name in
      drawing.styled("label").first { $0.text == name }.map { $0["y"] }
    }
    try #require(heights.count == 2)
    #expect(heights[0] < heights[1])
    let marks = drawing.styled("hollow").filter { !$0.named("title").isEmpty }.map { $0.places.map(\.y) }
    for (height, mark) in zip(heights, marks) {
      #expect(abs(height - 4 - (mark.min()! + mark.max()!) / 2) < Self.rounding)
    }
    #expect(drawing.styled("way").count == 1)
    #expect(drawing.styled("note").map(\.text) == ["1 value left out: not finite"])
  }

  @Test func longNamesAreCutAndNoneOverlap() throws {
    let groups = (0..<5).map { "a group with the number \($0) and a name that is far too long" }
    let drawing = try parsed(BarChart("y", groups: groups, series: [.init("", [1, 2, 3, 4, 5])]))
    let labels = drawing.styled("label").filter { $0.attributes["text-anchor"] == "middle" }
    #expect(labels.contains { $0.text.hasSuffix("…") })
    let rows = Dictionary(grouping: labels) { $0["y"] }.values
    for row in rows {
      let spans = row.map { ($0.places[0].x, $0.places[1].x) }.sorted { $0.0 < $1.0 }
      #expect(zip(spans, spans.dropFirst()).allSatisfy { $0.1 < $1.0 })
    }
  }
}
