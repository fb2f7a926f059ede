/// A hash table from byte strings to numbers, with open addressing and all keys in one array.
///
/// Looking up a part of a text copies nothing, which neither `Dictionary` nor `String` offers.
struct ByteTable {
  private struct Entry {
    var hash: UInt32
    var start: UInt32
    var count: UInt32
    var value: Int32
  }

  private var entries: [Entry] = []
  private var keys: [UInt8] = []
  /// Indices into `entries`, −1 where free; a power of two, at most half full.
  private var slots: [Int32]

  /// Number of keys.
  var count: Int { entries.count }

  /// Creates an empty table with room for `capacity` keys before it grows.
  init(capacity: Int = 0) {
    slots = Array(repeating: -1, count: Self.slotCount(for: capacity))
    entries.reserveCapacity(capacity)
  }

  /// The value of a key.
  func find(_ key: Span<UInt8>) -> Int32? {
    let index = slots[slot(of: key, hash: Self.hash(key))]
    return index < 0 ? nil : entries[Int(index)].value
  }

  /// The value of a key.
  func find(_ key: [UInt8]) -> Int32? { find(key.span) }

  /// Adds a key and returns true, or leaves the table as it is and returns false if the key is there already.
  mutating func insert(_ key: Span<UInt8>, _ value: Int32) -> Bool {
    let hash = Self.hash(key)
    let position = slot(of: key, hash: hash)
    guard slots[position] < 0 else { return false }
    slots[position] = Int32(entries.count)
    entries.append(Entry(hash: hash, start: UInt32(keys.count), count: UInt32(key.count), value: value))
    for index in key.indices { keys.append(key[index]) }
    if entries.count * 2 > slots.count { grow() }
    return true
  }

  /// Removes all keys and keeps the memory.
  mutating func removeAll() {
    entries.removeAll(keepingCapacity: true)
    keys.removeAll(keepingCapacity: true)
    for position in slots.indices { slots[position] = -1 }
  }

  /// The slot that holds the key or, if the key is missing, the free slot where it belongs.
  private func slot(of key: Span<UInt8>, hash: UInt32) -> Int {
    let mask = slots.count - 1
    var position = Int(hash) & mask
    while slots[position] >= 0, !matches(entries[Int(slots[position])], key, hash) {
      position = (position + 1) & mask
    }
    return position
  }

  private func matches(_ entry: Entry, _ key: Span<UInt8>, _ hash: UInt32) -> Bool {
    guard entry.hash == hash, Int(entry.count) == key.count else { return false }
    let start = Int(entry.start)
    for index in key.indices where keys[start + index] != key[index] { return false }
    return true
  }

  private mutating func grow() {
    slots = Array(repeating: -1, count: slots.count * 2)
    let mask = slots.count - 1
    for (index, entry) in entries.enumerated() {
      var position = Int(entry.hash) & mask
      while slots[position] >= 0 { position = (position + 1) & mask }
      slots[position] = Int32(index)
    }
  }

  private static func slotCount(for capacity: Int) -> Int {
    var count = 16
    while count < capacity * 2 { count *= 2 }
    return count
  }

  /// FNV-1a over 64 bits, folded by a multiplication.
  private static func hash(_ key: Span<UInt8>) -> UInt32 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for index in key.indices { hash = (hash ^ UInt64(key[index])) &* 0x100_0000_01B3 }
    return UInt32(truncatingIfNeeded: (hash &* 0x9E37_79B9_7F4A_7C15) >> 32)
  }
}
