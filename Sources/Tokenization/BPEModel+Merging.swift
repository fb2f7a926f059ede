extension BPEModel {
  /// Up to this many symbols the scan for the lowest rank beats the queue.
  private static let scanLimit = 40

  /// Applies the merges: always the lowest rank, of equal ones the leftmost; O(n log n) for long words.
  func merge(_ symbols: inout [Int32]) {
    if symbols.count <= Self.scanLimit { mergeByScan(&symbols) } else { symbols = mergedByQueue(symbols) }
  }

  /// Merges by looking for the lowest rank again and again.
  private func mergeByScan(_ symbols: inout [Int32]) {
    guard symbols.count > 1 else { return }
    var ranks: [UInt32] = (0..<symbols.count - 1).map { rank(symbols, $0) }
    while let (index, rank) = Self.lowest(ranks), rank != .max {
      // A rank other than the maximum comes from a merge of this very pair.
      symbols[index] = merges.find(symbols[index], symbols[index + 1])?.id ?? symbols[index]
      symbols.remove(at: index + 1)
      ranks.remove(at: index)
      if index > 0 { ranks[index - 1] = self.rank(symbols, index - 1) }
      if index < ranks.count { ranks[index] = self.rank(symbols, index) }
    }
  }

  /// The rank of the pair that starts at an index, the maximum if there is no merge.
  private func rank(_ symbols: [Int32], _ index: Int) -> UInt32 {
    merges.find(symbols[index], symbols[index + 1])?.rank ?? .max
  }

  private static func lowest(_ ranks: [UInt32]) -> (index: Int, rank: UInt32)? {
    guard var lowest = ranks.first else { return nil }
    var index = 0
    for position in 1..<ranks.count where ranks[position] < lowest {
      lowest = ranks[position]
      index = position
    }
    return (index, lowest)
  }

  /// Merges with a queue of candidates over a linked list; outdated candidates are dropped when they come up.
  private func mergedByQueue(_ symbols: [Int32]) -> [Int32] {
    var list = SymbolList(symbols)
    var queue = MergeQueue()
    for position in 0..<symbols.count - 1 { push(position, list, into: &queue) }
    while let candidate = queue.pop() {
      let position = candidate.position
      guard let right = list.next(of: position), let merge = merges.find(list.symbols[position], list.symbols[right]),
        merge.rank == candidate.rank
      else { continue }
      list.merge(position, into: merge.id)
      push(position, list, into: &queue)
      if let left = list.previous(of: position) { push(left, list, into: &queue) }
    }
    return list.remaining
  }

  /// Adds the merge of a position with its right neighbour, if there is one.
  private func push(_ position: Int, _ list: SymbolList, into queue: inout MergeQueue) {
    guard let right = list.next(of: position), let merge = merges.find(list.symbols[position], list.symbols[right])
    else { return }
    queue.push(rank: merge.rank, position: position)
  }
}

/// A doubly linked list of symbols in which a symbol can absorb its right neighbour.
private struct SymbolList {
  /// The symbols by position; −1 where absorbed.
  private(set) var symbols: [Int32]
  private var nextPositions: [Int32]
  private var previousPositions: [Int32]

  /// Links symbols in their order.
  init(_ symbols: [Int32]) {
    self.symbols = symbols
    let count = Int32(symbols.count)
    nextPositions = (0..<count).map { $0 + 1 }
    previousPositions = (0..<count).map { $0 - 1 }
  }

  /// The position to the right, nil at the end and for absorbed symbols.
  func next(of position: Int) -> Int? {
    let next = Int(nextPositions[position])
    return symbols[position] < 0 || next == symbols.count ? nil : next
  }

  /// The position to the left, nil at the start.
  func previous(of position: Int) -> Int? {
    previousPositions[position] < 0 ? nil : Int(previousPositions[position])
  }

  /// Replaces a symbol and its right neighbour, which must exist, by one symbol.
  mutating func merge(_ position: Int, into symbol: Int32) {
    let right = Int(nextPositions[position])
    symbols[position] = symbol
    symbols[right] = -1
    nextPositions[position] = nextPositions[right]
    if let after = next(of: position) { previousPositions[after] = Int32(position) }
  }

  /// The symbols that were not absorbed.
  var remaining: [Int32] { symbols.filter { $0 >= 0 } }
}
