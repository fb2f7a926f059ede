/// A JSON value (RFC 8259) that keeps the order of members and the difference between integers and fractions.
package enum JSONValue: Sendable, Equatable {
  /// The literal `null`.
  case null
  /// The literals `true` and `false`.
  case bool(Bool)
  /// A number written without fraction and exponent that fits into 64 bits.
  case integer(Int64)
  /// Any other number; always finite when it was parsed.
  case double(Double)
  /// A text without escapes.
  case string(ByteString)
  /// Values in order.
  case array([JSONValue])
  /// Members in order.
  case object(JSONObject)

  /// What to do when an object has the same key twice.
  package enum DuplicateKeys: Sendable {
    /// Fail.
    case reject
    /// Keep the first position and the last value, as Python does.
    case lastWins
  }
}

extension JSONValue {
  /// The integer, also of a double with an integral value; nil for anything else or if it does not fit.
  package var intValue: Int? {
    switch self {
    case .integer(let value): Int(exactly: value)
    case .double(let value): Int(exactly: value)
    default: nil
    }
  }

  /// The number as a double; nil for anything but a number.
  package var doubleValue: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }

  /// The truth value; nil for anything but `true` and `false`.
  package var boolValue: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  /// The text of a string as a Swift string.
  package var stringValue: String? { byteString?.description }

  /// The bytes of a string.
  package var byteString: ByteString? {
    if case .string(let value) = self { value } else { nil }
  }

  /// The elements of an array.
  package var arrayValue: [JSONValue]? {
    if case .array(let value) = self { value } else { nil }
  }

  /// The object; nil for anything but an object.
  package var objectValue: JSONObject? {
    if case .object(let value) = self { value } else { nil }
  }

  /// The value of a key of an object; nil if it is missing or this is no object.
  package subscript(key: ByteString) -> JSONValue? { objectValue?[key] }
}
