/// Text made safe for HTML and XML, between tags and inside quoted attributes.
///
/// It goes by scalars, not by characters: a quote with a combining mark is one character, and still ends an attribute.
/// Scalars that XML forbids become U+FFFD, so that what was there can be seen.
package func htmlEscaped(_ text: String) -> String {
  var result = String.UnicodeScalarView()
  for scalar in text.unicodeScalars {
    switch scalar {
    case "&": result.append(contentsOf: "&amp;".unicodeScalars)
    case "<": result.append(contentsOf: "&lt;".unicodeScalars)
    case ">": result.append(contentsOf: "&gt;".unicodeScalars)
    case "\"": result.append(contentsOf: "&quot;".unicodeScalars)
    case "'": result.append(contentsOf: "&#39;".unicodeScalars)
    case "\r": result.append(contentsOf: "&#13;".unicodeScalars)
    case "\t", "\n": result.append(scalar)
    case "\0"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{FFFE}", "\u{FFFF}": result.append("\u{FFFD}")
    default: result.append(scalar)
    }
  }
  return String(result)
}

/// A piece of a page, well-formed by construction: the only way in which text gets into a report.
///
/// Names of elements and attributes are literals of this program; everything else is escaped here.
struct Markup: Sendable {
  let source: String

  /// Text between tags.
  init(text: String) { source = htmlEscaped(text) }

  /// Pieces one after another.
  init(_ pieces: [Markup]) { source = pieces.map(\.source).joined() }

  /// An element around its children. Without any it closes itself, which HTML allows for shapes and for what never has
  /// children; an empty list gives a start and an end tag.
  init(_ name: StaticString, _ attributes: KeyValuePairs<StaticString, String> = [:], _ children: [Markup]? = nil) {
    let list = attributes.map { " \($0.key)=\"\(htmlEscaped($0.value))\"" }.joined()
    source = "<\(name)\(list)" + (children.map { ">\(Markup($0).source)</\(name)>" } ?? "/>")
  }

  /// An element around text.
  init(_ name: StaticString, _ attributes: KeyValuePairs<StaticString, String> = [:], _ text: String) {
    self.init(name, attributes, [Markup(text: text)])
  }

  /// A style sheet. HTML reads it as it stands and XML as text, so it is written without `<` and `&`.
  init(style: StaticString) { source = "<style>\n\(style)\n</style>" }
}
