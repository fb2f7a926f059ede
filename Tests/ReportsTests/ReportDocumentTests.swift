import Reports
import Testing

@Suite("Report documents")
struct ReportDocumentTests {
  private func sample(seed: UInt64 = 1) -> ReportDocument {
    var samples = SampleCharts(seed: seed)
    var page = ReportDocument(title: "Weights", subtitle: "of a sample")
    page.verdict(.refused, "k̂ is above 1")
    page.facts([("Pairs", "4000"), ("τ", "0.5")])
    page.heading("Gates")
    var table = Table([.init("gate"), .number("value"), .init("verdict", .centre)])
    table.row(["ESS/N", "0.50", .verdict(.passed)])
    table.row(["k̂", "1.20", .verdict(.refused)], isBest: true)
    page.table(table, caption: "Thresholds")
    for kind in SampleCharts.kinds.keys.sorted() {
      page.chart(SampleCharts.kinds[kind]!(&samples), caption: "A chart: \(kind)", width: .half)
    }
    page.heading("Rest", level: 3)
    page.paragraph("A paragraph.")
    page.details("JSON", "{\"a\": [1 < 2]}")
    return page
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func pagesAreWellFormed(seed: UInt64) throws {
    let page = try Element.parse(sample(seed: seed).html())
    #expect(page.name == "html")
    #expect(page.named("svg").count == SampleCharts.kinds.count)
    #expect(
      page.named("svg").allSatisfy { $0.attributes["role"] == "img" && $0.attributes["aria-label"]?.isEmpty == false })
  }

  @Test func equalContentGivesEqualBytes() {
    #expect(sample().html() == sample().html())
    #expect(sample(seed: 1).html() != sample(seed: 2).html())
  }

  @Test func pagesNeedNothingElse() throws {
    let source = sample().html()
    let page = try Element.parse(source)
    let names = Set(page.all.map(\.name))
    #expect(
      names.isDisjoint(with: ["script", "link", "img", "image", "iframe", "object", "embed", "use", "base", "form"]))
    let attributes = Set(page.all.flatMap { $0.attributes.keys })
    #expect(attributes.isDisjoint(with: ["src", "href", "xlink:href", "style", "srcset", "action"]))
    #expect(!attributes.contains { $0.hasPrefix("on") })
    #expect(!source.contains("url(") && !source.contains("@import"))
    #expect(page.named("meta").contains { $0.attributes["content"]?.hasPrefix("default-src 'none'") == true })
  }

  /// HTML reads a style sheet as it stands, XML reads references in it.
  @Test func theStyleSheetMeansTheSameInHTMLAndXML() throws {
    let source = sample().html()
    let style = try #require(try Element.parse(source).named("style").first)
    #expect(source.contains("<style>\(style.text)</style>"))
    #expect(!style.text.contains("&") && !style.text.contains("<"))
    for needed in ["prefers-color-scheme: dark", "@media print"] { #expect(style.text.contains(needed)) }
  }

  /// What HTML does not let close itself has an end tag, also when it is empty.
  @Test func onlyVoidElementsAndShapesCloseThemselves() {
    var page = ReportDocument(title: "")
    page.paragraph("")
    page.details("", "")
    page.table(Table([.init("")]))
    page.facts([])
    for source in [page.html(), ReportDocument(title: "").html(), sample().html()] {
      let closing = source.matches(of: /<([a-z0-9]+)[^<>]*\/>/).map { String($0.1) }
      #expect(Set(closing).isSubset(of: ["meta", "line", "rect", "circle", "polyline", "polygon"]))
    }
  }

  @Test func everyClassIsInTheStyleSheet() throws {
    let page = try Element.parse(sample().html())
    let style = try #require(page.named("style").first).text
    let classes = Set(page.all.flatMap { $0.attributes["class", default: ""].split(separator: " ").map(String.init) })
    // A solid line, and what needs nothing beside the style of its element.
    let plain: Set = ["d0", "left", "full", "verdict"]
    for name in classes.subtracting(plain).sorted() { #expect(style.contains(".\(name)"), "\(name)") }
  }

  @Test func blocksStandInTheirOrder() throws {
    let main = try #require(try Element.parse(sample().html()).named("main").first)
    let figures = [String](repeating: "figure", count: SampleCharts.kinds.count)
    #expect(main.children.map(\.name) == ["p", "dl", "h2", "div"] + figures + ["h3", "p", "details"])
    #expect(main.named("figcaption").map(\.text) == SampleCharts.kinds.keys.sorted().map { "A chart: \($0)" })
    #expect(main.named("dt").map(\.text) == ["Pairs", "τ"] && main.named("dd").map(\.text) == ["4000", "0.5"])
    #expect(main.named("pre").map(\.text) == ["{\"a\": [1 < 2]}"])
  }

  @Test func tablesHaveAlignedColumnsAndAnEmphasisedRow() throws {
    let table = try #require(try Element.parse(sample().html()).named("table").first)
    let rows = table.named("tr")
    #expect(
      rows.map { $0.children.map(\.text) }
        == [["gate", "value", "verdict"], ["ESS/N", "0.50", "✓ passed"], ["k̂", "1.20", "✕ refused"]])
    #expect(rows.allSatisfy { $0.children.map { $0.attributes["class"] } == ["left", "right", "centre"] })
    #expect(rows.map { $0.attributes["class"] == "best" } == [false, false, true])
    #expect(table.named("caption").map(\.text) == ["Thresholds"])
  }
}
