/// The members of a JSON object in the order of the text.
///
/// Lookup is a linear scan: iterate over `members` where an object may have thousands of keys.
package struct JSONObject: Sendable, Equatable {
  /// Keys and values in order; keys are distinct.
  package var members: [(key: ByteString, value: JSONValue)]

  /// Creates an object without members.
  package init() { members = [] }

  /// Creates an object from members in order; the keys must be distinct.
  package init(_ members: [(ByteString, JSONValue)]) {
    precondition(Set(members.map(\.0)).count == members.count, "duplicate key in \(members.map(\.0))")
    self.members = members.map { (key: $0.0, value: $0.1) }
  }

  /// Takes members whose keys are known to be distinct.
  init(distinct members: [(key: ByteString, value: JSONValue)]) { self.members = members }

  /// The value of a key; setting keeps the position of an existing key or appends, and setting nil removes.
  package subscript(_ key: ByteString) -> JSONValue? {
    get { members.first { $0.key == key }?.value }
    set {
      let position = members.firstIndex { $0.key == key }
      switch (position, newValue) {
      case (let position?, let value?): members[position].value = value
      case (let position?, nil): members.remove(at: position)
      case (nil, let value?): members.append((key: key, value: value))
      case (nil, nil): break
      }
    }
  }

  /// Equal members in equal order.
  package static func == (left: JSONObject, right: JSONObject) -> Bool {
    left.members.elementsEqual(right.members) { $0.key == $1.key && $0.value == $1.value }
  }
}
