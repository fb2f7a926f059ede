/// The ids of words seen before; it starts afresh when it is full.
struct WordCache {
  private static let longestWord = 255
  private static let capacity = 1 << 16

  /// From words to indices into `ends`.
  private var words = ByteTable()
  private var ids: [Int32] = []
  /// Ends of the ids of each word in `ids`.
  private var ends: [Int] = []

  /// Appends the ids of a known word, or returns false.
  func append(_ word: Span<UInt8>, to result: inout [Int32]) -> Bool {
    guard word.count <= Self.longestWord, let index = words.find(word).map(Int.init) else { return false }
    for position in (index == 0 ? 0 : ends[index - 1])..<ends[index] { result.append(ids[position]) }
    return true
  }

  /// Keeps the ids of a word that is not known yet and not too long.
  mutating func insert(_ word: Span<UInt8>, _ newIDs: [Int32]) {
    guard word.count <= Self.longestWord else { return }
    if words.count == Self.capacity {
      words.removeAll()
      ids.removeAll(keepingCapacity: true)
      ends.removeAll(keepingCapacity: true)
    }
    guard words.insert(word, Int32(ends.count)) else { return }
    ids.append(contentsOf: newIDs)
    ends.append(ids.count)
  }
}
