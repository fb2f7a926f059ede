#if canImport(Glibc)
  import Glibc
#endif

/// Numbers as people read them. The same on every machine: no locale, no C formatting.
package enum NumberText {
  /// A number with so many decimals, rounded half away from zero, with a true minus sign.
  package static func fixed(_ value: Double, places: Int) -> String {
    guard value.isFinite else { return value.isNaN ? "NaN" : value < 0 ? "−∞" : "∞" }
    let scaled = (abs(value) * powerOfTen(places)).rounded()
    guard scaled < 1e18 else { return scientific(value, digits: 4) }
    let digits = zeroPadded(Int(scaled), to: places + 1)
    let sign = value < 0 && scaled > 0 ? "−" : ""
    return sign + digits.dropLast(places) + (places > 0 ? "." + digits.suffix(places) : "")
  }

  /// A number with so many significant digits, without zeros at the end; by powers of ten where it is very large or small.
  package static func brief(_ value: Double, digits: Int = 4) -> String {
    guard value.isFinite, abs(value) > 1e-300 else { return fixed(value, places: 0) }
    let exponent = Int(log10(abs(value)).rounded(.down))
    guard -4...5 ~= exponent else { return scientific(value, digits: digits) }
    return trimmed(fixed(value, places: max(0, digits - 1 - exponent)))
  }

  /// m × 10ⁿ with so many significant digits in m.
  static func scientific(_ value: Double, digits: Int) -> String {
    var exponent = Int(log10(abs(value)).rounded(.down))
    var mantissa = trimmed(fixed(value / powerOfTen(exponent), places: digits - 1))
    if mantissa.hasSuffix("10") { (mantissa, exponent) = (String(mantissa.dropLast()), exponent + 1) }
    return "\(mantissa)×\(power(exponent))"
  }

  /// 10ⁿ with a raised exponent.
  static func power(_ exponent: Int) -> String {
    let raised: [Character] = ["⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"]
    let digits = String(exponent.magnitude).compactMap(\.wholeNumberValue).map { raised[$0] }
    return "10" + (exponent < 0 ? "⁻" : "") + String(digits)
  }

  /// A length in a drawing: two decimals at most.
  static func coordinate(_ value: Double) -> String {
    trimmed(fixed(value, places: 2)).replacing("−", with: "-")
  }

  /// A power of ten, correctly rounded.
  static func powerOfTen(_ exponent: Int) -> Double { Double("1e\(exponent)")! }

  private static func trimmed(_ text: String) -> String {
    guard text.contains(".") else { return text }
    var text = Substring(text)
    while text.hasSuffix("0") { text.removeLast() }
    return String(text.hasSuffix(".") ? text.dropLast() : text)
  }

  private static func zeroPadded(_ value: Int, to count: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, count - digits.count)) + digits
  }
}
