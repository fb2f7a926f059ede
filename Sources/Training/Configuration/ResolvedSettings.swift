/// Every key of a configuration with its value, defaults included, in the order in which they were read.
package final class ResolvedSettings {
  package private(set) var entries: [(key: String, value: String)] = []

  func add(_ key: String, _ value: String) { entries.append((key, value)) }

  /// The settings as YAML that reads back to the same configuration.
  package var yaml: String {
    var lines: [String] = []
    var open: [String] = []
    for (key, value) in entries {
      let keys = key.split(separator: ".").map(String.init)
      let parents = Array(keys.dropLast())
      let shared = zip(open, parents).prefix { $0 == $1 }.count
      for depth in shared..<parents.count {
        lines.append(String(repeating: "  ", count: depth) + parents[depth] + ":")
      }
      open = parents
      let indent = String(repeating: "  ", count: parents.count)
      let isListItem = Int(keys[keys.count - 1]) != nil
      lines.append(indent + (isListItem ? "- " : keys[keys.count - 1] + ": ") + Self.quoted(value))
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// A plain scalar where YAML surely reads it back as this text, else a quoted one.
  private static func quoted(_ value: String) -> String {
    let safe = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+/".utf8)
    let isPlain = value.utf8.allSatisfy(safe.contains)
    let beginsPlainly = value.first.map { $0.isLetter || $0.isNumber || $0 == "/" || $0 == "." } ?? false
    if isPlain, beginsPlainly, value.lowercased() != "null" { return value }
    return "\"" + value.unicodeScalars.map(escaped).joined() + "\""
  }

  /// A character between double quotes; YAML treats several beyond ASCII as line breaks or marks.
  private static func escaped(_ scalar: Unicode.Scalar) -> String {
    if scalar == "\"" || scalar == "\\" { return "\\\(scalar)" }
    if scalar.isASCII, scalar.value >= 0x20, scalar.value != 0x7f { return String(scalar) }
    let digits = String(scalar.value, radix: 16)
    return "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
  }
}
