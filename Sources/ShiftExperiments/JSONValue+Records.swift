import JSON

extension JSONValue {
  /// An object of members in order.
  static func record(_ members: [(String, JSONValue)]) -> JSONValue {
    .object(JSONObject(members.map { (ByteString($0.0), $0.1) }))
  }

  static func text(_ text: String) -> JSONValue { .string(ByteString(text)) }
}
