import Foundation
import FoundationXML
import Testing

/// An element of a parsed page or chart. Parsing is libxml2's: what is not well-formed throws.
struct Element {
  let name: String
  let attributes: [String: String]
  /// Of the element and everything in it.
  let text: String
  let children: [Element]

  static func parse(_ source: String) throws -> Element {
    let document = try XMLDocument(xmlString: source, options: [.nodePreserveWhitespace])
    return Element(try #require(document.rootElement()))
  }

  private init(_ element: XMLElement) {
    name = element.localName ?? ""
    attributes = Dictionary(
      uniqueKeysWithValues: (element.attributes ?? []).map { ($0.name ?? "", $0.stringValue ?? "") })
    text = element.stringValue ?? ""
    children = (element.children ?? []).compactMap { ($0 as? XMLElement).map(Element.init) }
  }

  /// The element and everything in it, in the order of the source.
  var all: [Element] { [self] + children.flatMap(\.all) }

  /// Everything in it of a class of the style sheet.
  func styled(_ style: String) -> [Element] {
    all.filter { $0.attributes["class", default: ""].split(separator: " ").contains(Substring(style)) }
  }

  func named(_ name: String) -> [Element] { all.filter { $0.name == name } }

  subscript(_ attribute: String) -> Double { attributes[attribute].flatMap(Double.init) ?? .nan }

  /// The places that a shape consists of: centres, corners, ends.
  var places: [(x: Double, y: Double)] {
    switch name {
    case "line": [(self["x1"], self["y1"]), (self["x2"], self["y2"])]
    case "rect": [(self["x"], self["y"]), (self["x"] + self["width"], self["y"] + self["height"])]
    case "circle":
      [(self["cx"] - self["r"], self["cy"] - self["r"]), (self["cx"] + self["r"], self["cy"] + self["r"])]
    case "polyline", "polygon":
      attributes["points", default: ""].split(separator: " ").map { pair in
        let numbers = pair.split(separator: ",").map { Double($0) ?? .nan }
        return numbers.count == 2 ? (numbers[0], numbers[1]) : (.nan, .nan)
      }
    case "text" where attributes["x"] != nil: textPlaces
    default: []
    }
  }

  /// Both ends of a text in Helvetica of 12.
  private var textPlaces: [(x: Double, y: Double)] {
    let width = 12 * text.reduce(0) { $0 + Self.helveticaWidth($1) }
    let start =
      switch attributes["text-anchor"] {
      case "middle": self["x"] - width / 2
      case "end": self["x"] - width
      default: self["x"]
      }
    return [(start, self["y"] - 9), (start + width, self["y"])]
  }

  /// Adobe's metrics of small letters and digits; other characters are taken for as wide as a digit.
  private static func helveticaWidth(_ character: Character) -> Double {
    switch character {
    case "i", "j", "l": 0.222
    case " ", ".", ",", ":", "f", "t": 0.278
    case "r": 0.333
    case "c", "k", "s", "v", "x", "y", "z": 0.5
    case "m": 0.833
    case "w": 0.722
    case "…": 1
    default: 0.556
    }
  }
}
