import AlignmentCore

/// One rank's part of the parameter arena, cut into runs of parameters that are treated alike.
struct ParameterShard {
  /// The part of a run that lies in the shard.
  struct Run {
    /// In arena coordinates.
    let range: Range<Int>
    /// In vectors over the shard.
    let local: Range<Int>
    let group: Int
    let decays: Bool

    /// The weight decay of the run's parameters.
    func weightDecay(_ group: GroupStep) -> Float { decays ? Float(group.weightDecay) : 0 }
  }

  let range: Range<Int>
  let runs: [Run]

  init(_ range: Range<Int>, of runs: [ParameterRun]) {
    self.range = range
    self.runs = runs.compactMap { run in
      let part = run.range.clamped(to: range)
      guard !part.isEmpty else { return nil }
      return Run(
        range: part, local: part.lowerBound - range.lowerBound..<part.upperBound - range.lowerBound, group: run.group,
        decays: run.decays)
    }
    let covered = self.runs.reduce(range.lowerBound) { $1.range.lowerBound == $0 ? $1.range.upperBound : -1 }
    precondition(covered == range.upperBound, "the runs do not cover \(range) in order")
  }
}

/// Vectors of one element for each parameter of a shard, in one arena.
struct ShardState {
  private let buffer: FloatBuffer
  private let names: [String]
  private let count: Int

  init(_ names: [String], over shard: ParameterShard) throws {
    buffer = try FloatBuffer(count: names.count * shard.range.count, purpose: "optimiser state")
    self.names = names
    count = shard.range.count
  }

  /// A vector by its place among the names.
  subscript(index: Int) -> FloatView { buffer.view[index * count..<(index + 1) * count] }

  var named: [(name: String, view: FloatView)] { names.enumerated().map { ($1, self[$0]) } }
}
