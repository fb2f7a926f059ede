extension Double {
  /// Four significant digits.
  package var brief: String {
    guard isFinite, self != 0 else { return "\(self)" }
    var scale = 1.0
    var digits = 4
    while abs(self) * scale < 1000, digits < 9 { (scale, digits) = (scale * 10, digits + 1) }
    let rounded = (self * scale).rounded() / scale
    return "\(rounded)"
  }
}

extension Int {
  /// With zeros in front, for names of files that sort by number.
  func padded(to digits: Int) -> String {
    String(repeating: "0", count: Swift.max(0, digits - String(self).count)) + String(self)
  }

  /// Groups of three digits.
  package var grouped: String {
    var text = ""
    for (offset, digit) in String(self).reversed().enumerated() {
      if offset > 0, offset % 3 == 0, digit != "-" { text.append(" ") }
      text.append(digit)
    }
    return String(text.reversed())
  }
}
