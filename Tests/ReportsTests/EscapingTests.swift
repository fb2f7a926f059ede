import Reports
import Testing

@Suite("Escaping")
struct EscapingTests {
  private static let hostile = [
    "<script>alert(1)</script>", "\" onload=\"alert(1)", "' onload='alert(1)", "&lt;b&gt; &amp; &#60;", "]]>", "<!--",
    "</style>",
    // One Character each, whose first scalar would end an attribute or begin an element.
    "\"\u{301} onload=\"\u{301}x", "<\u{338}b", "&\u{FE0F}lt;",
    "\u{0}\u{1}\u{8}\u{B}\u{1B}[31m\u{7F}\u{85}\u{FFFE}\u{FFFF}", "a\r\nb\rc\td", "\u{202E}abc\u{202C} 😀 e\u{301}", "",
  ]

  /// What a reader sees of a text: scalars that XML forbids, and other controls, are replacement characters.
  private func shown(_ text: String) -> String {
    String(
      String.UnicodeScalarView(
        text.unicodeScalars.map { scalar in
          let isForbidden =
            scalar.properties.generalCategory == .control && !"\t\n\r".unicodeScalars.contains(scalar)
            || scalar.value == 0xFFFE || scalar.value == 0xFFFF
          return isForbidden ? "\u{FFFD}" : scalar
        }))
  }

  @Test(arguments: hostile)
  func textIsReadBackAsItWasWritten(text: String) throws {
    let element = try Element.parse("<a b=\"\(htmlEscaped(text))\">\(htmlEscaped(text))</a>")
    #expect(element.text.unicodeScalars.elementsEqual(shown(text).unicodeScalars))
    #expect(element.children.isEmpty)
    #expect(element.attributes.count == 1)
    // XML reads a line end or tab in an attribute as a space.
    let inAttribute = shown(text).replacing("\r\n", with: "\r ").replacing("\n", with: " ").replacing("\t", with: " ")
    #expect(element.attributes["b"] == inAttribute)
  }

  @Test func everyScalarIsReadBackOrReplaced() throws {
    for plane in 0..<17 {
      let scalars = (0..<0x10000).compactMap { Unicode.Scalar(UInt32(plane * 0x10000 + $0)) }
      let text = String(String.UnicodeScalarView(scalars))
      let element = try Element.parse("<a>\(htmlEscaped(text))</a>")
      #expect(element.text.unicodeScalars.elementsEqual(shown(text).unicodeScalars), "plane \(plane)")
    }
  }

  @Test(arguments: hostile)
  func hostileTextChangesNothingOfAPage(text: String) throws {
    let (page, hostile) = (try Element.parse(page("x").html()), try Element.parse(page(text).html()))
    #expect(hostile.all.map(\.name) == page.all.map(\.name))
    #expect(hostile.all.map { $0.attributes.keys.sorted() } == page.all.map { $0.attributes.keys.sorted() })
  }

  /// A page with a text wherever a text can be.
  private func page(_ text: String) -> ReportDocument {
    // A name in front, so that an empty text leaves out no element.
    let name = "name \(text)"
    let axis = Axis(name)
    var page = ReportDocument(title: name, subtitle: name)
    page.heading(name)
    page.paragraph(name)
    page.facts([(name, name)])
    page.verdict(.warned, name)
    page.details(name, name)
    var table = Table([.init(name), .number(name)])
    table.row([.text(name), "\(name)"])
    page.table(table, caption: name)
    let line = LineChart.Series(name, x: [1, 2], y: [1, 2])
    page.chart(LineChart(x: axis, y: axis, series: [line], rules: [.vertical(at: 1, name)]), caption: name)
    page.chart(HistogramChart(x: name, series: [.init(name, edges: [0, 1], counts: [1])]), caption: name)
    page.chart(BarChart(name, .right, groups: [name], series: [.init(name, [1])]), caption: name)
    page.chart(LovePlot(x: name, rows: [.init(name, before: 1, after: 0)]), caption: name)
    let bin = ReliabilityChart.Bin(forecast: 0.5, share: 0.5, count: 1)
    page.chart(ReliabilityChart(x: name, y: name, series: [.init(name, [bin])]), caption: name)
    let points = ScatterChart.Series(name, x: [1], y: [1])
    page.chart(ScatterChart(x: axis, y: axis, series: [points], diagonal: name), caption: name)
    return page
  }
}
