import AlignmentCore
import JSON

/// Typed access to the fields of `config.json` with errors that name the field.
struct ConfigurationFields {
  let json: JSONValue
  let path: String

  subscript(name: String) -> JSONValue? { json[ByteString(name)] }

  func isNull(_ name: String) -> Bool {
    guard let value = self[name] else { return true }
    return value == .null
  }

  /// A nested object; an absent or null one reads as empty.
  func object(_ name: String) throws -> ConfigurationFields {
    guard !isNull(name), let value = self[name] else {
      return ConfigurationFields(json: .object(JSONObject()), path: path)
    }
    guard value.objectValue != nil else { throw wrong(name, "an object") }
    return ConfigurationFields(json: value, path: path)
  }

  func string(_ name: String, default fallback: String? = nil) throws -> String {
    try value(name, fallback, "a string") { $0.stringValue }
  }

  func number(_ name: String, default fallback: Double? = nil) throws -> Double {
    try value(name, fallback, "a number") { $0.doubleValue }
  }

  /// A number above 0.
  func positiveNumber(_ name: String, default fallback: Double? = nil) throws -> Double {
    try value(name, fallback, "a positive number") { $0.doubleValue.flatMap { $0 > 0 && $0.isFinite ? $0 : nil } }
  }

  func integer(_ name: String, default fallback: Int? = nil) throws -> Int {
    try value(name, fallback, "an integer") { $0.intValue.map { Int($0) } }
  }

  /// A size; what no model has is refused before memory is asked for.
  func positive(_ name: String, default fallback: Int? = nil, atMost limit: Int = 1 << 24) throws -> Int {
    try value(name, fallback, "an integer from 1 to \(limit)") {
      $0.intValue.flatMap { $0 > 0 && $0 <= limit ? Int($0) : nil }
    }
  }

  func boolean(_ name: String, default fallback: Bool) throws -> Bool {
    try value(name, fallback, "true or false") { $0.boolValue }
  }

  /// One token id, a list of them, or none.
  func tokens(_ name: String) throws -> [Int32] {
    guard !isNull(name), let value = self[name] else { return [] }
    let values = value.arrayValue ?? [value]
    return try values.map {
      guard let id = $0.intValue, id >= 0, id < 1 << 31 else { throw wrong(name, "a token id or a list of them") }
      return Int32(id)
    }
  }

  func require(_ name: String, oneOf allowed: [String], default fallback: String) throws {
    let value = try string(name, default: fallback)
    guard allowed.contains(value) else {
      throw Fault(
        .data, "\(name) \"\(value)\" is not supported", at: path,
        hint: "supported: \(allowed.joined(separator: ", "))")
    }
  }

  private func value<T>(_ name: String, _ fallback: T?, _ kind: String, _ read: (JSONValue) -> T?) throws -> T {
    if isNull(name), let fallback { return fallback }
    guard let present = self[name], present != .null else {
      throw Fault(.data, "\(name) is missing", at: path, hint: "expected \(kind)")
    }
    guard let value = read(present) else { throw wrong(name, kind) }
    return value
  }

  private func wrong(_ name: String, _ kind: String) -> Fault {
    Fault(.data, "\(name) must be \(kind)", at: path)
  }
}
