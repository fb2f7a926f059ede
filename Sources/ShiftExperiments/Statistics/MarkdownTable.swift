#if canImport(Glibc)
  import Glibc
#endif

/// A table in Markdown.
package struct MarkdownTable: Sendable {
  private var lines: [String]

  /// - Parameter header: the first column is set left, the others right.
  package init(_ header: [String]) {
    lines = [Self.line(header), Self.line(header.indices.map { $0 == 0 ? "---" : "---:" })]
  }

  package mutating func append(_ cells: [String]) { lines.append(Self.line(cells)) }

  private static func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |" }

  /// The lines, each ended.
  package var text: String { lines.map { $0 + "\n" }.joined() }
}

extension Double {
  /// With a fixed number of decimals and a minus sign of full width where it is not zero when rounded.
  package func fixed(_ decimals: Int) -> String {
    guard isFinite else { return self > 0 ? "∞" : self < 0 ? "−∞" : "–" }
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let units = (abs(self) * scale).rounded()
    guard units < 0x1p53 else { return "\(self)" }
    var digits = String(Int(units))
    if decimals > 0 {
      digits = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
      digits.insert(".", at: digits.index(digits.endIndex, offsetBy: -decimals))
    }
    return (self < 0 && units > 0 ? "−" : "") + digits
  }

  /// A p-value: three decimals, or that it is smaller.
  package var asProbability: String { self < 0.001 ? "<0.001" : fixed(3) }
}

extension Interval {
  /// As in "0.54 [0.41, 0.66]".
  package func text(_ decimals: Int) -> String {
    "\(estimate.fixed(decimals)) [\(lower.fixed(decimals)), \(upper.fixed(decimals))]"
  }
}
