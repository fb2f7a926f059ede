import AlignmentCore

/// Adds the gradients of all units of a step over all ranks and leaves each rank the mean of its shard.
package final class GradientReduction {
  /// How gradients are added.
  package enum Mode: String, CaseIterable, Sendable {
    /// 64-bit fixed point: the same bits for any number of ranks and any assignment of units.
    case exact
    /// Float32: half the traffic; the same bits only for the same number of ranks.
    case fast
  }

  package let mode: Mode
  private let sums: any GradientSums
  private let sharding: Sharding
  private let rank: Int
  private let shard: [Range<Int>]

  package init(_ mode: Mode, _ sharding: Sharding, rank: Int) throws {
    self.mode = mode
    self.sharding = sharding
    self.rank = rank
    shard = sharding.shard(ofRank: rank)
    switch mode {
    case .exact: sums = try ExactSums(sharding)
    case .fast: sums = try FastSums(sharding)
    }
  }

  /// Clears the sums.
  ///
  /// - Parameters:
  ///   - scale: about how large the total will be: what it will be divided by, times how large the mean is. Terms are
  ///     scaled by the power of two nearest to it; beyond 2^±60 exact sums refuse every term that is not 0.
  ///   - terms: how many terms will be added to an element over all ranks.
  package func begin(scale: Double, terms: Int) { sums.begin(scale: scale, terms: terms) }

  /// The largest magnitude that an element of a unit's gradient may have.
  package var largestTerm: Double { sums.largestTerm }

  /// Adds a range of the gradient of one unit; nil adds all of it.
  ///
  /// - Returns: whether every element was finite and, when exact, within the range of the sums.
  package func add(_ gradients: FloatView, _ range: Range<Int>? = nil) -> Bool {
    let range = range ?? 0..<gradients.count
    return sums.add(gradients[range], at: range.lowerBound)
  }

  /// Adds rows of the gradient of a table.
  ///
  /// - Returns: as ``add(_:_:)``.
  package func add(_ rows: TableRows) -> Bool {
    var isSound = true
    for index in 0..<rows.count {
      let (row, start) = rows[index]
      isSound = sums.add(row, at: start) && isSound
    }
    return isSound
  }

  /// Whether the rows may be added.
  func admits(_ rows: TableRows) -> Bool { sums.admits(rows.values) }

  /// Adds what of the rows lies in the own shard, whose buckets are reduced already.
  func addToShard(_ rows: TableRows) {
    for index in 0..<rows.count {
      let (row, first) = rows[index]
      var start = first
      while start < first + row.count {
        let block = start / Sharding.blockSize
        let end = min(sharding.range(ofBlock: block).upperBound, first + row.count)
        if sharding.rank(ofBlock: block) == rank { _ = sums.add(row[start - first..<end - first], at: start) }
        start = end
      }
    }
  }

  /// Adds up a bucket of all ranks; no more may be added to it but rows to the own shard.
  func reduce(bucket: Int, over transport: BucketTransport) throws {
    try sums.reduce(bucket: bucket, of: sharding, over: transport)
  }

  /// Writes total / normalizer into the own shard of an arena, when all buckets are reduced.
  package func means(normalizer: Double, into gradients: FloatView) {
    for piece in shard { sums.mean(of: piece, normalizer: normalizer, into: gradients) }
  }

  /// Adds the sums of all ranks and writes total / normalizer into the own shard of an arena, all at once.
  package func finish(normalizer: Double, into gradients: FloatView, over communicator: any Communicator) throws {
    for bucket in 0..<sharding.bucketCount {
      try reduce(bucket: bucket, over: .ring(BlockingLink(communicator)))
    }
    means(normalizer: normalizer, into: gradients)
  }
}

/// Some rows of the gradient of a table, such as an embedding of tokens, in memory of somebody else.
package struct TableRows {
  /// Where the table begins in the arena, and how wide its rows are.
  package let tableStart: Int
  package let width: Int
  /// (rows) which rows of the table they are, each once.
  package let indices: UnsafeMutablePointer<Int32>
  package let count: Int
  /// (rows, width)
  package let base: UnsafeMutablePointer<Float>

  package init(
    tableStart: Int, width: Int, indices: UnsafeMutablePointer<Int32>, count: Int, base: UnsafeMutablePointer<Float>
  ) {
    self.tableStart = tableStart
    self.width = width
    self.indices = indices
    self.count = count
    self.base = base
  }

  var values: FloatView { FloatView(base: base, count: count * width) }

  /// A row, and the element of the arena that it begins at.
  subscript(index: Int) -> (row: FloatView, start: Int) {
    (values[index * width..<(index + 1) * width], tableStart + Int(indices[index]) * width)
  }
}
