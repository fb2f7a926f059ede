import AlignmentCore

/// Which buckets of a step hold final sums, and the order in which they come to.
struct BucketCompletion {
  /// All buckets in the order in which they are complete.
  private(set) var order: [Int]
  /// How many of them, from the first, are complete in this step.
  private(set) var ready = 0
  private let sharding: Sharding
  /// Elements of each bucket whose sums are not final.
  private var missing: [Int]

  /// - Parameters:
  ///   - ranges: disjoint, together the whole arena, in the order in which they become final.
  init(_ sharding: Sharding, order ranges: [Range<Int>]) {
    self.sharding = sharding
    order = []
    missing = (0..<sharding.bucketCount).map { sharding.range(ofBucket: $0).count }
    for range in ranges {
      subtract(range)
      order += buckets(of: range).filter { missing[$0] == 0 && !order.contains($0) }
    }
    precondition(order.count == sharding.bucketCount, "the ranges cover \(order.count) of \(missing.count) buckets")
  }

  /// Begins a step.
  mutating func begin() {
    ready = 0
    for bucket in missing.indices { missing[bucket] = sharding.range(ofBucket: bucket).count }
  }

  /// Takes note of a range that is final; ranges of a step must not overlap.
  mutating func complete(_ range: Range<Int>) {
    subtract(range)
    while ready < order.count, missing[order[ready]] == 0 { ready += 1 }
  }

  private func buckets(of range: Range<Int>) -> Range<Int> {
    range.isEmpty ? 0..<0 : sharding.bucket(of: range.lowerBound)..<sharding.bucket(of: range.upperBound - 1) + 1
  }

  private mutating func subtract(_ range: Range<Int>) {
    for bucket in buckets(of: range) { missing[bucket] -= sharding.range(ofBucket: bucket).clamped(to: range).count }
  }
}
