/// One name of a legend with the mark that it explains.
struct LegendEntry: Sendable {
  enum Swatch: Sendable {
    /// A line, with the marks of its points if it has any.
    case line(series: Int, hasMarkers: Bool)
    case marker(series: Int, isHollow: Bool)
    case bar(series: Int)
    case bin(series: Int)
    case bubble(series: Int)
    case rule(Int)
    case diagonal
  }

  let label: String
  let swatch: Swatch

  init(_ label: String, _ swatch: Swatch) {
    self.label = label
    self.swatch = swatch
  }

  func drawn(at place: Position) -> Markup {
    let end = place.shifted(Legend.swatchWidth, 0)
    let centre = place.shifted(Legend.swatchWidth / 2, 0)
    let (corner, opposite) = (centre.shifted(-6, -6), centre.shifted(6, 6))
    switch swatch {
    case .line(let series, let hasMarkers):
      let style = Palette.style(series)
      return hasMarkers
        ? Markup([.line(place, end, "\(style) line"), .marker(centre, series: series, "\(style) point")])
        : .line(place, end, "\(style) line d\(series % Palette.count)")
    case .marker(let series, let isHollow):
      return .marker(centre, series: series, Palette.style(series) + (isHollow ? " hollow" : " point"))
    case .bar(let series): return .rectangle(corner, opposite, "\(Palette.style(series)) bar")
    case .bin(let series): return .rectangle(corner, opposite, "\(Palette.style(series)) bin outlined")
    case .bubble(let series): return .circle(centre, radius: 6, "\(Palette.style(series)) bubble")
    case .rule(let index): return .line(place, end, "rule r\(index % 3)")
    case .diagonal: return .line(place, end, "diagonal")
    }
  }
}

/// The names of what a chart shows, in rows above it, where they cover no data.
struct Legend {
  static let swatchWidth = 24.0
  static let fontSize = 12.0
  private static let rowHeight = 20.0
  private static let gap = 18.0

  private let places: [(entry: LegendEntry, label: String, place: Position)]
  let height: Double

  /// Lays out the entries that have a name from left to right, beginning another row where one is full.
  init(_ entries: [LegendEntry], left: Double, width: Double) {
    var places: [(LegendEntry, String, Position)] = []
    var x = 0.0
    var row = 0.0
    let widest = width - Self.swatchWidth - 6
    for entry in entries where !entry.label.isEmpty {
      let label = TextMeasure.fitted(entry.label, width: widest, size: Self.fontSize)
      let space = Self.swatchWidth + 6 + TextMeasure.width(label, size: Self.fontSize)
      if x > 0, x + space > width { (x, row) = (0, row + 1) }
      places.append((entry, label, Position(x: left + x, y: row * Self.rowHeight + Self.rowHeight / 2)))
      x += space + Self.gap
    }
    self.places = places
    height = places.isEmpty ? 0 : (row + 1) * Self.rowHeight
  }

  func drawn() -> Markup {
    Markup(
      "g", ["class": "legend"],
      places.map { entry, label, place in
        Markup([entry.drawn(at: place), .text(label, at: place.shifted(Self.swatchWidth + 6, 4), "label")])
      })
  }
}
