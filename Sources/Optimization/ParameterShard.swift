import AlignmentCore

/// One rank's shard of the parameter arena, cut into runs of parameters that are treated alike.
struct ParameterShard {
  /// The part of a run that lies in the shard.
  struct Run {
    /// In arena coordinates.
    let range: Range<Int>
    /// In vectors over the shard.
    let local: Range<Int>
    let group: Int
    let decays: Bool

    /// What of the run lies in a range; nil if nothing does.
    func clamped(to other: Range<Int>) -> Run? {
      let part = range.clamped(to: other)
      guard !part.isEmpty else { return nil }
      let start = local.lowerBound + part.lowerBound - range.lowerBound
      return Run(range: part, local: start..<start + part.count, group: group, decays: decays)
    }

    /// The weight decay of the run's parameters.
    func weightDecay(_ group: GroupStep) -> Float { decays ? Float(group.weightDecay) : 0 }
  }

  /// Elements of the shard.
  let count: Int
  let runs: [Run]

  /// - Parameters:
  ///   - pieces: of the arena, ascending and disjoint; vectors over the shard have them one behind the other.
  init(_ pieces: [Range<Int>], of runs: [ParameterRun]) {
    var (parts, count) = ([Run](), 0)
    for piece in pieces {
      let origin = piece.lowerBound - count
      for run in runs {
        let part = run.range.clamped(to: piece)
        guard !part.isEmpty else { continue }
        precondition(part.lowerBound == count + origin, "the runs do not cover \(piece) in order")
        count += part.count
        parts.append(
          Run(
            range: part, local: part.lowerBound - origin..<part.upperBound - origin, group: run.group,
            decays: run.decays))
      }
      precondition(count + origin == piece.upperBound, "the runs do not cover \(piece)")
    }
    (self.runs, self.count) = (parts, count)
  }
}

/// Vectors of one element for each parameter of a shard, in one arena.
struct ShardState {
  private let buffer: FloatBuffer
  private let names: [String]
  private let count: Int

  init(_ names: [String], over shard: ParameterShard) throws {
    buffer = try FloatBuffer(count: names.count * shard.count, purpose: "optimiser state")
    self.names = names
    count = shard.count
  }

  /// A vector by its place among the names.
  subscript(index: Int) -> FloatView { buffer.view[index * count..<(index + 1) * count] }

  var named: [(name: String, view: FloatView)] { names.enumerated().map { ($1, self[$0]) } }
}
