/// The members of an object while it is parsed, with a check for duplicate keys in constant time per member.
struct JSONMemberList {
  /// Up to this many members a linear scan is cheaper than a hash table.
  private static let scanLimit = 12

  /// What to do about equal keys.
  let duplicateKeys: JSONValue.DuplicateKeys
  /// The members so far.
  private(set) var members: [(key: ByteString, value: JSONValue)] = []
  private var positions: [ByteString: Int] = [:]

  /// Creates an empty list.
  init(duplicateKeys: JSONValue.DuplicateKeys) { self.duplicateKeys = duplicateKeys }

  /// Appends a member, or replaces the value of an equal key; false if duplicates are rejected and this is one.
  mutating func append(_ key: ByteString, _ value: JSONValue) -> Bool {
    if let position = claim(key) {
      guard duplicateKeys == .lastWins else { return false }
      members[position].value = value
    } else {
      members.append((key: key, value: value))
    }
    return true
  }

  /// The position of an equal key, or nil after noting the key for the next position.
  private mutating func claim(_ key: ByteString) -> Int? {
    if members.count < Self.scanLimit { return members.firstIndex { $0.key == key } }
    if positions.isEmpty {
      for (position, member) in members.enumerated() { positions[member.key] = position }
    }
    if let position = positions[key] { return position }
    positions[key] = members.count
    return nil
  }
}
