/// The merges of a model: from a pair of ids to the rank of the pair and the id of the merged token.
struct MergeTable {
  /// A merge that a pair allows; smaller ranks come first.
  struct Merge {
    var rank: UInt32
    var id: Int32
  }

  /// Keys of the slots; ids are never negative, so no pair is all ones.
  private var keys: [UInt64]
  private var merges: [Merge]

  /// Creates an empty table for a known number of merges; it is at most half full and never grows.
  init(capacity: Int) {
    var count = 16
    while count < capacity * 2 { count *= 2 }
    keys = Array(repeating: .max, count: count)
    merges = Array(repeating: Merge(rank: .max, id: -1), count: count)
  }

  /// The merge of two neighbours.
  func find(_ left: Int32, _ right: Int32) -> Merge? {
    let key = Self.key(left, right)
    let slot = slot(of: key)
    return keys[slot] == key ? merges[slot] : nil
  }

  /// Sets the merge of a pair; the last one counts.
  mutating func insert(_ left: Int32, _ right: Int32, _ merge: Merge) {
    let key = Self.key(left, right)
    let slot = slot(of: key)
    keys[slot] = key
    merges[slot] = merge
  }

  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  private func slot(of key: UInt64) -> Int {
    let mask = keys.count - 1
    var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
    while keys[slot] != key, keys[slot] != .max { slot = (slot + 1) & mask }
    return slot
  }
}
