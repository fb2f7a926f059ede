/// A table of texts; numbers are written by whoever makes it.
package struct Table: Sendable {
  /// On which side of a column its texts stand.
  package enum Alignment: String, Sendable {
    case left
    case centre
    case right
  }

  /// The head of a column and how its cells stand.
  package struct Column: Sendable {
    let title: String
    let alignment: Alignment

    package init(_ title: String, _ alignment: Alignment = .left) { (self.title, self.alignment) = (title, alignment) }

    /// A column of numbers: their last digits stand below each other.
    package static func number(_ title: String) -> Column { Column(title, .right) }
  }

  /// What stands in a row and a column.
  package enum Cell: Sendable, ExpressibleByStringInterpolation {
    case text(String)
    case verdict(Verdict)

    package init(stringLiteral text: String) { self = .text(text) }

    var content: Markup {
      switch self {
      case .text(let text): Markup(text: text)
      case .verdict(let verdict): verdict.badge
      }
    }
  }

  private let columns: [Column]
  private var rows: [(cells: [Cell], isBest: Bool)] = []

  package init(_ columns: [Column]) { self.columns = columns }

  /// Appends a row with one cell for each column.
  ///
  /// - Parameter isBest: whether it is emphasised.
  package mutating func row(_ cells: [Cell], isBest: Bool = false) {
    precondition(cells.count == columns.count, "\(cells.count) cells for \(columns.count) columns")
    rows.append((cells, isBest))
  }

  /// The table in a box that scrolls where the page is narrower.
  func drawn(caption: String) -> Markup {
    let head = Markup(
      "tr", [:], columns.map { Markup("th", ["scope": "col", "class": $0.alignment.rawValue], $0.title) })
    let body = rows.map { cells, isBest in
      Markup(
        "tr", isBest ? ["class": "best"] : [:],
        zip(columns, cells).map { Markup("td", ["class": $0.alignment.rawValue], [$1.content]) })
    }
    let parts = (caption.isEmpty ? [] : [Markup("caption", [:], caption)]) + [Markup("thead", [:], [head])]
    return Markup(
      "div", ["class": "scroll"], [Markup("table", [:], parts + [Markup("tbody", [:], body)])])
  }
}
