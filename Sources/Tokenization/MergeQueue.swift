/// A binary heap of candidate merges, the lowest rank first and then the leftmost position.
struct MergeQueue {
  /// Rank in the upper half and position in the lower half.
  private var keys: [UInt64] = []

  /// Adds a candidate in O(log n).
  mutating func push(rank: UInt32, position: Int) {
    keys.append(UInt64(rank) << 32 | UInt64(position))
    var child = keys.count - 1
    while child > 0, keys[child] < keys[(child - 1) / 2] {
      keys.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  /// Removes the first candidate in O(log n).
  mutating func pop() -> (rank: UInt32, position: Int)? {
    guard let first = keys.first, let last = keys.popLast() else { return nil }
    if !keys.isEmpty {
      keys[0] = last
      siftDown()
    }
    return (UInt32(first >> 32), Int(first & 0xFFFF_FFFF))
  }

  private mutating func siftDown() {
    var parent = 0
    while 2 * parent + 1 < keys.count {
      var child = 2 * parent + 1
      if child + 1 < keys.count, keys[child + 1] < keys[child] { child += 1 }
      guard keys[child] < keys[parent] else { return }
      keys.swapAt(parent, child)
      parent = child
    }
  }
}
