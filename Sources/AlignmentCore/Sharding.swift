/// How a flat arena is divided among ranks: into buckets, which travel one at a time, and each bucket into a part for
/// each rank.
///
/// A rank's shard is its parts of all buckets, so that wherever in the arena gradients come first, all ranks have
/// something to add up. Parts are whole blocks of a fixed size: sums over blocks do not depend on the number of ranks.
package struct Sharding: Sendable, Equatable {
  /// Elements of a block; sums of squares are taken over a block at a time.
  package static let blockSize = 1 << 14
  /// Blocks of a bucket unless ranks ask for more: 8 MiB of exact sums.
  private static let usualBucketBlocks = 64

  package let count: Int
  package let ranks: Int
  /// Blocks of a bucket; the last one may have fewer.
  package let bucketBlocks: Int

  /// - Parameters:
  ///   - bucketBlocks: nil puts everything into one bucket, so that shards are contiguous.
  package init(count: Int, ranks: Int, bucketBlocks: Int? = nil) {
    self.count = count
    self.ranks = ranks
    self.bucketBlocks = bucketBlocks ?? max(1, Self.blockCount(of: count))
    precondition(self.bucketBlocks > 0, "a bucket needs a block")
  }

  /// The division that training uses: buckets large enough for the network, with as many blocks for each rank.
  package static func interleaved(count: Int, ranks: Int) -> Sharding {
    Sharding(count: count, ranks: ranks, bucketBlocks: (usualBucketBlocks + ranks - 1) / ranks * ranks)
  }

  private static func blockCount(of count: Int) -> Int { (count + blockSize - 1) / blockSize }
}

// MARK: - Blocks

extension Sharding {
  package var blockCount: Int { Self.blockCount(of: count) }

  /// The elements of a block; the last block may be shorter.
  package func range(ofBlock block: Int) -> Range<Int> {
    block * Self.blockSize..<min((block + 1) * Self.blockSize, count)
  }

  /// The rank whose shard a block is in.
  package func rank(ofBlock block: Int) -> Int {
    let bucket = blocks(ofBucket: block / bucketBlocks)
    return ((block - bucket.lowerBound + 1) * ranks - 1) / bucket.count
  }

  private func elements(_ blocks: Range<Int>) -> Range<Int> {
    min(blocks.lowerBound * Self.blockSize, count)..<min(blocks.upperBound * Self.blockSize, count)
  }
}

// MARK: - Buckets

extension Sharding {
  package var bucketCount: Int { (blockCount + bucketBlocks - 1) / bucketBlocks }

  /// The bucket that an element is in.
  package func bucket(of element: Int) -> Int { element / (bucketBlocks * Self.blockSize) }

  package func range(ofBucket bucket: Int) -> Range<Int> { elements(blocks(ofBucket: bucket)) }

  /// The part of a bucket that is a rank's; empty where there are more ranks than blocks.
  package func range(ofRank rank: Int, inBucket bucket: Int) -> Range<Int> {
    elements(Self.share(ofRank: rank, among: ranks, of: blocks(ofBucket: bucket)))
  }

  /// Elements of the largest part of a bucket.
  package var largestPart: Int {
    // Buckets have the same number of blocks but for the last, which has no more.
    bucketCount == 0 ? 0 : (0..<ranks).reduce(0) { max($0, range(ofRank: $1, inBucket: 0).count) }
  }

  private func blocks(ofBucket bucket: Int) -> Range<Int> {
    bucket * bucketBlocks..<min((bucket + 1) * bucketBlocks, blockCount)
  }

  private static func share(ofRank rank: Int, among ranks: Int, of blocks: Range<Int>) -> Range<Int> {
    blocks.lowerBound + blocks.count * rank / ranks..<blocks.lowerBound + blocks.count * (rank + 1) / ranks
  }
}

// MARK: - Shards

extension Sharding {
  /// The shard of a rank: its parts of all buckets, ascending, adjacent ones joined.
  package func shard(ofRank rank: Int) -> [Range<Int>] {
    (0..<bucketCount).reduce(into: []) { pieces, bucket in
      let part = range(ofRank: rank, inBucket: bucket)
      if let last = pieces.last, last.upperBound == part.lowerBound {
        pieces[pieces.count - 1] = last.lowerBound..<part.upperBound
      } else if !part.isEmpty {
        pieces.append(part)
      }
    }
  }

  /// Contiguous shares of the arena for what every rank has, such as parameters that go into a checkpoint. They are the
  /// shards where there is one bucket.
  package func range(ofRank rank: Int) -> Range<Int> { elements(blocks(ofRank: rank)) }

  /// The blocks of a contiguous share.
  package func blocks(ofRank rank: Int) -> Range<Int> { Self.share(ofRank: rank, among: ranks, of: 0..<blockCount) }
}
