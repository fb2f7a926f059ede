import AlignmentCore
import JSON

/// Reads the fields of one component of tokenizer.json and words the faults found there.
struct ComponentReader {
  /// Where the component is, as in `pre_tokenizer.pretokenizers[1]`.
  let name: String
  /// Path of the file.
  let file: String
  private let object: JSONObject

  /// Wraps a value, which must be an object.
  init(_ value: JSONValue, name: String, file: String) throws {
    guard let object = value.objectValue else {
      throw Fault(.data, "\(name) is not an object", at: file, hint: "see the tokenizer.json of a working model")
    }
    self.name = name
    self.file = file
    self.object = object
  }

  /// The name of the component, from its field `type`.
  var type: String {
    get throws { String(decoding: try text("type"), as: UTF8.self) }
  }

  /// Any field; nil if it is missing or null.
  func value(_ key: String) -> JSONValue? {
    let value = object[ByteString(key)]
    return value == .null ? nil : value
  }

  /// A truth value, with a default for a missing field.
  func bool(_ key: String, default fallback: Bool) throws -> Bool {
    guard let value = value(key) else { return fallback }
    guard let bool = value.boolValue else { throw fault(key, "must be true or false") }
    return bool
  }

  /// A text that may be missing.
  func optionalText(_ key: String) throws -> [UInt8]? {
    guard let value = value(key) else { return nil }
    guard let text = value.byteString else { throw fault(key, "must be a string") }
    return text.bytes
  }

  /// A text that must be there.
  func text(_ key: String) throws -> [UInt8] {
    guard let text = try optionalText(key) else { throw fault(key, "is missing") }
    return text
  }

  /// A count that must be there.
  func count(_ key: String) throws -> Int {
    guard let count = value(key)?.intValue, count >= 0, count <= Int32.max else {
      throw fault(key, "must be an integer from 0 to \(Int32.max)")
    }
    return count
  }

  /// A list that must be there.
  func list(_ key: String) throws -> [JSONValue] {
    guard let list = value(key)?.arrayValue else { throw fault(key, "must be a list") }
    return list
  }

  /// A component inside this one.
  func component(_ key: String) throws -> ComponentReader? {
    try value(key).map { try ComponentReader($0, name: "\(name).\(key)", file: file) }
  }

  /// A list of components inside this one.
  func components(_ key: String) throws -> [ComponentReader] {
    try list(key).enumerated().map { try ComponentReader($1, name: "\(name).\(key)[\($0)]", file: file) }
  }

  /// A fault of one field.
  func fault(_ key: String, _ problem: String) -> Fault {
    Fault(.data, "\(name): \"\(key)\" \(problem)", at: file, hint: "see the tokenizer.json of a working model")
  }

  /// A fault of a component of unknown type.
  func unsupported(_ type: String, supported: [String]) -> Fault {
    Fault(
      .data, "\(name) \"\(type)\" is not supported", at: file,
      hint: "supported: \(supported.joined(separator: ", "))")
  }
}
