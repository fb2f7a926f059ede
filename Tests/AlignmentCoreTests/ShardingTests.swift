import AlignmentCore
import Testing

@Suite struct ShardingTests {
  static let block = Sharding.blockSize
  static let counts = [1, 17, block - 1, block, block + 1, 3 * block - 5, 9 * block, 20 * block + 4_321]

  @Test(arguments: counts, 1...9)
  func shardsCoverEverythingOnceInOrder(count: Int, ranks: Int) {
    let sharding = Sharding(count: count, ranks: ranks)
    var (element, block) = (0, 0)
    for rank in 0..<ranks {
      let (range, blocks) = (sharding.range(ofRank: rank), sharding.blocks(ofRank: rank))
      #expect(range.lowerBound == element && blocks.lowerBound == block)
      (element, block) = (range.upperBound, blocks.upperBound)
    }
    #expect(element == count && block == sharding.blockCount)
  }

  @Test(arguments: counts)
  func blocksCoverEverythingOnceInOrder(count: Int) {
    let sharding = Sharding(count: count, ranks: 3)
    var element = 0
    for block in 0..<sharding.blockCount {
      let range = sharding.range(ofBlock: block)
      #expect(range.lowerBound == element && !range.isEmpty && range.count <= Self.block)
      #expect(range.count == Self.block || block == sharding.blockCount - 1)
      element = range.upperBound
    }
    #expect(element == count)
  }

  @Test(arguments: counts, 1...9)
  func aShardIsItsBlocks(count: Int, ranks: Int) {
    let sharding = Sharding(count: count, ranks: ranks)
    for rank in 0..<ranks {
      let blocks = sharding.blocks(ofRank: rank).map { sharding.range(ofBlock: $0) }
      let range = sharding.range(ofRank: rank)
      #expect(blocks.reduce(0) { $0 + $1.count } == range.count)
      if let first = blocks.first, let last = blocks.last {
        #expect(range == first.lowerBound..<last.upperBound)
      }
    }
  }

  @Test(arguments: counts, 1...9)
  func shardsDifferByOneBlockAtMost(count: Int, ranks: Int) {
    let sharding = Sharding(count: count, ranks: ranks)
    let sizes = (0..<ranks).map { sharding.blocks(ofRank: $0).count }
    #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
  }

  static let bucketSizes = [nil, 1, 3, 6, 64]

  @Test(arguments: counts, bucketSizes)
  func bucketsCoverEverythingOnceInOrder(count: Int, bucketBlocks: Int?) {
    let sharding = Sharding(count: count, ranks: 2, bucketBlocks: bucketBlocks)
    let buckets = (0..<sharding.bucketCount).map { sharding.range(ofBucket: $0) }
    #expect(buckets.reduce(0) { $1.lowerBound == $0 && !$1.isEmpty ? $1.upperBound : -1 } == count)
    for (index, bucket) in buckets.enumerated() {
      #expect(sharding.bucket(of: bucket.lowerBound) == index && sharding.bucket(of: bucket.upperBound - 1) == index)
    }
  }

  @Test(arguments: counts, bucketSizes)
  func shardsOfAllRanksAreTheirPartsOfBuckets(count: Int, bucketBlocks: Int?) {
    for ranks in 1...9 {
      let sharding = Sharding(count: count, ranks: ranks, bucketBlocks: bucketBlocks)
      var owners = [Int](repeating: -1, count: sharding.blockCount)
      for rank in 0..<ranks {
        let parts = (0..<sharding.bucketCount).map { sharding.range(ofRank: rank, inBucket: $0) }
        #expect(sharding.shard(ofRank: rank).flatMap { Array($0) } == parts.flatMap { Array($0) })
        #expect(parts.allSatisfy { $0.count <= sharding.largestPart })
        for part in parts where !part.isEmpty {
          #expect(part.lowerBound % Self.block == 0 && (part.upperBound % Self.block == 0 || part.upperBound == count))
          for block in part.lowerBound / Self.block...(part.upperBound - 1) / Self.block {
            #expect(owners[block] == -1)
            owners[block] = rank
          }
        }
      }
      #expect(owners == (0..<sharding.blockCount).map { sharding.rank(ofBlock: $0) }, "\(ranks) ranks")
    }
  }

  @Test(arguments: counts, 1...9)
  func oneBucketHasContiguousShards(count: Int, ranks: Int) {
    let sharding = Sharding(count: count, ranks: ranks)
    for rank in 0..<ranks {
      let range = sharding.range(ofRank: rank)
      #expect(sharding.shard(ofRank: rank) == (range.isEmpty ? [] : [range]))
    }
  }

  // Else some rank would have a multiple of the optimiser's state of another.
  @Test(arguments: 1...200)
  func interleavedShardsAreAsLargeForAllRanks(ranks: Int) {
    let sharding = Sharding.interleaved(count: 100_000 * Self.block, ranks: ranks)
    let sizes = (0..<ranks).map { rank in sharding.shard(ofRank: rank).reduce(0) { $0 + $1.count } }
    #expect(((sizes.max() ?? 0) - (sizes.min() ?? 0)) / Self.block <= 1)
  }
}
