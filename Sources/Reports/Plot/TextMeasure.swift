/// How wide text will be, roughly. The font is the reader's, so these are the widths of a wide one (DejaVu Sans).
enum TextMeasure {
  /// Width in the units of the font size.
  static func width(_ text: String, size: Double) -> Double {
    size * text.unicodeScalars.reduce(0) { $0 + width($1) }
  }

  /// The text, cut with an ellipsis where it would be wider; empty where none of it would be left.
  static func fitted(_ text: String, width limit: Double, size: Double) -> String {
    if width(text, size: size) <= limit { return text }
    var kept = text
    while !kept.isEmpty, width(kept + "…", size: size) > limit { kept.removeLast() }
    return kept.isEmpty ? "" : kept + "…"
  }

  /// The words of the text in at most so many lines, cut where they would be wider; no
  /// lines where nothing would be left of one.
  static func lines(_ text: String, width limit: Double, size: Double, atMost count: Int) -> [String] {
    var lines: [String] = []
    for word in text.split(separator: " ") {
      if let last = lines.last, lines.count == count || width("\(last) \(word)", size: size) <= limit {
        lines[lines.count - 1] = "\(last) \(word)"
      } else {
        lines.append(String(word))
      }
    }
    let cut = lines.map { fitted($0, width: limit, size: size) }
    return cut.contains("") ? [] : cut
  }

  private static func width(_ scalar: Unicode.Scalar) -> Double {
    switch scalar {
    case "i", "j", "l", "I", "|", "!", ".", ",", ":", ";", "'", " ", "(", ")", "[", "]", "t", "f": 0.4
    case "m", "w", "M", "W", "%", "@", "—", "…": 1
    case "A"..."Z", "+", "−", "=", "×", "<", ">", "~": 0.8
    case _ where scalar.properties.generalCategory == .nonspacingMark: 0
    case _ where scalar.value >= 0x1100: 1.1
    default: 0.65
    }
  }
}
