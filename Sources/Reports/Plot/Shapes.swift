/// A place in a drawing.
struct Position: Sendable {
  let x: Double
  let y: Double

  func shifted(_ dx: Double, _ dy: Double) -> Position { Position(x: x + dx, y: y + dy) }
}

/// The shapes of SVG that charts are made of. Colours and strokes come from the style sheet by class; a tip is what a
/// reader sees who points at the shape.
extension Markup {
  static func line(_ start: Position, _ end: Position, _ style: String) -> Markup {
    Markup("line", ["class": style, "x1": px(start.x), "y1": px(start.y), "x2": px(end.x), "y2": px(end.y)])
  }

  /// The rectangle between two corners that lie opposite to each other.
  static func rectangle(_ corner: Position, _ opposite: Position, _ style: String, tip: String = "") -> Markup {
    Markup(
      "rect",
      [
        "class": style, "x": px(min(corner.x, opposite.x)), "y": px(min(corner.y, opposite.y)),
        "width": px(abs(corner.x - opposite.x)), "height": px(abs(corner.y - opposite.y)),
      ], title(tip))
  }

  static func circle(_ centre: Position, radius: Double, _ style: String, tip: String = "") -> Markup {
    Markup("circle", ["class": style, "cx": px(centre.x), "cy": px(centre.y), "r": px(radius)], title(tip))
  }

  static func polyline(_ points: [Position], _ style: String) -> Markup {
    Markup("polyline", ["class": style, "points": list(points)])
  }

  static func polygon(_ points: [Position], _ style: String, tip: String = "") -> Markup {
    Markup("polygon", ["class": style, "points": list(points)], title(tip))
  }

  static func text(_ text: String, at place: Position, _ style: String, anchor: Anchor = .start) -> Markup {
    Markup("text", ["class": style, "x": px(place.x), "y": px(place.y), "text-anchor": anchor.rawValue], text)
  }

  /// Which part of a text stands at its position.
  enum Anchor: String {
    case start
    case middle
    case end
  }

  /// A vertical or horizontal line with a bar at both ends.
  static func errorBar(_ start: Position, _ end: Position, _ style: String) -> [Markup] {
    let isVertical = start.x == end.x
    let (dx, dy) = isVertical ? (3.0, 0.0) : (0.0, 3.0)
    let caps = [start, end].map { line($0.shifted(-dx, -dy), $0.shifted(dx, dy), style) }
    return [line(start, end, style)] + caps
  }

  /// A line through the whole height of an area.
  static func across(_ area: PlotArea, x: Double, _ style: String) -> Markup {
    line(Position(x: x, y: area.top), Position(x: x, y: area.bottom), style)
  }

  /// A line through the whole width of an area.
  static func across(_ area: PlotArea, y: Double, _ style: String) -> Markup {
    line(Position(x: area.left, y: y), Position(x: area.right, y: y), style)
  }

  /// The mark of a series: each of the first four has another shape, for readers and printers without colours.
  static func marker(_ centre: Position, series: Int, _ style: String, tip: String = "") -> Markup {
    let corners: [(Double, Double)]
    switch (series + series / Palette.count) % 4 {
    case 0: return circle(centre, radius: 3.5, style, tip: tip)
    case 1: corners = [(-3.2, -3.2), (3.2, -3.2), (3.2, 3.2), (-3.2, 3.2)]
    case 2: corners = [(0, -4.4), (4.2, 3.2), (-4.2, 3.2)]
    default: corners = [(0, -4.6), (4.6, 0), (0, 4.6), (-4.6, 0)]
    }
    return polygon(corners.map { centre.shifted($0.0, $0.1) }, style, tip: tip)
  }

  private static func px(_ length: Double) -> String { NumberText.coordinate(length) }

  private static func list(_ points: [Position]) -> String {
    points.map { "\(px($0.x)),\(px($0.y))" }.joined(separator: " ")
  }

  private static func title(_ tip: String) -> [Markup]? { tip.isEmpty ? nil : [Markup("title", [:], tip)] }
}

/// Colours of series, by class of the style sheet.
enum Palette {
  /// Number of colours; further series begin again, with other marks.
  static let count = 6

  /// The class that sets the colour of a series.
  static func style(_ series: Int) -> String { "s\(series % count)" }
}
