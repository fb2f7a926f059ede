/// A report as one HTML file that needs nothing else: no scripts, no fonts, no network. It is XML, too; it reads well on
/// paper, and light or dark as the reader's system is. Equal content gives equal bytes.
package struct ReportDocument: Sendable {
  /// How much of the page's width a chart takes; two halves that follow each other stand side by side.
  package enum Width: String, Sendable {
    case full
    case half

    /// Of the drawing, in whose units text is 12 high: that of the page in pixels where there is room.
    var drawing: Double { self == .full ? 860 : 418 }
  }

  private let title: String
  private let subtitle: String
  private var blocks: [Markup] = []

  package init(title: String, subtitle: String = "") { (self.title, self.subtitle) = (title, subtitle) }

  /// Begins a section, or with level 3 a part of one.
  package mutating func heading(_ text: String, level: Int = 2) {
    blocks.append(level > 2 ? Markup("h3", [:], text) : Markup("h2", [:], text))
  }

  package mutating func paragraph(_ text: String) { blocks.append(Markup("p", [:], text)) }

  /// Names with their values; nothing if there are none.
  package mutating func facts(_ facts: [(name: String, value: String)]) {
    let pairs = facts.map { Markup("div", [:], [Markup("dt", [:], $0.name), Markup("dd", [:], $0.value)]) }
    if !pairs.isEmpty { blocks.append(Markup("dl", [:], pairs)) }
  }

  package mutating func table(_ table: Table, caption: String = "") { blocks.append(table.drawn(caption: caption)) }

  /// A chart with what it shows in a sentence or two.
  package mutating func chart(_ chart: some Chart, caption: String, width: Width = .full) {
    let parts = [chart.plot.drawn(width: width.drawing), Markup("figcaption", [:], caption)]
    blocks.append(Markup("figure", ["class": width.rawValue], parts))
  }

  /// What a check came to, with its reason.
  package mutating func verdict(_ verdict: Verdict, _ reason: String) {
    blocks.append(Markup("p", ["class": "verdict"], [verdict.badge, Markup(text: " " + reason)]))
  }

  /// Text as it is, folded away until the reader opens it.
  package mutating func details(_ summary: String, _ text: String) {
    blocks.append(Markup("details", [:], [Markup("summary", [:], summary), Markup("pre", [:], text)]))
  }

  /// The whole file.
  package func html() -> String {
    let head = Markup(
      "head", [:],
      [
        Markup("meta", ["charset": "utf-8"]),
        Markup("meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"]),
        Markup("meta", ["name": "color-scheme", "content": "light dark"]),
        Markup(
          "meta", ["http-equiv": "Content-Security-Policy", "content": "default-src 'none'; style-src 'unsafe-inline'"]),
        Markup("title", [:], title), Markup(style: styleSheet),
      ])
    let header = Markup(
      "header", [:],
      [Markup("h1", [:], title)] + (subtitle.isEmpty ? [] : [Markup("p", ["class": "subtitle"], subtitle)]))
    let page = Markup("body", [:], [header, Markup("main", [:], blocks)])
    let html = Markup("html", ["xmlns": "http://www.w3.org/1999/xhtml", "lang": "en"], [head, page])
    return "<!DOCTYPE html>\n\(html.source)\n"
  }
}

/// What a check came to.
package enum Verdict: String, Sendable {
  case passed
  case warned
  case refused

  /// The word with a sign, so that nobody needs its colour.
  var badge: Markup {
    let sign =
      switch self {
      case .passed: "✓"
      case .warned: "!"
      case .refused: "✕"
      }
    return Markup("span", ["class": "badge \(rawValue)"], "\(sign) \(rawValue)")
  }
}
