/// How a flat arena is divided among ranks: whole blocks of a fixed size, so that sums over blocks do not depend on the
/// number of ranks.
package struct Sharding: Sendable, Equatable {
  /// Elements of a block; sums of squares are taken over a block at a time.
  package static let blockSize = 1 << 14

  package let count: Int
  package let ranks: Int

  package init(count: Int, ranks: Int) {
    self.count = count
    self.ranks = ranks
  }

  package var blockCount: Int { (count + Self.blockSize - 1) / Self.blockSize }

  /// The blocks of a rank.
  package func blocks(ofRank rank: Int) -> Range<Int> {
    blockCount * rank / ranks..<blockCount * (rank + 1) / ranks
  }

  /// The elements of a block; the last block may be shorter.
  package func range(ofBlock block: Int) -> Range<Int> {
    block * Self.blockSize..<min((block + 1) * Self.blockSize, count)
  }

  /// Elements of the largest shard.
  package var largestShard: Int { (0..<ranks).reduce(0) { max($0, range(ofRank: $1).count) } }

  /// The elements of a rank; empty where there are more ranks than blocks.
  package func range(ofRank rank: Int) -> Range<Int> {
    let blocks = blocks(ofRank: rank)
    return min(blocks.lowerBound * Self.blockSize, count)..<min(blocks.upperBound * Self.blockSize, count)
  }
}
