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
}
