import AlignmentCore
import Kernels

/// The L2 norms of the gradients of each parameter group, in a form whose bits do not depend on the number of ranks.
///
/// Each block of the arena is cut where the group changes. Ranks fill a table with the sums of squares of these pieces, add
/// their tables up, and take the sums of a group in the order of the arena.
package struct GradientNorms: Sendable {
  /// The part of a block that belongs to one group.
  private struct Piece {
    var range: Range<Int>
    let group: Int
  }

  private let sharding: Sharding
  private let pieces: [Piece]

  /// - Parameters:
  ///   - runs: ascending, disjoint, covering the arena; only their groups matter.
  package init(_ sharding: Sharding, runs: [ParameterRun]) {
    self.sharding = sharding
    var pieces: [Piece] = []
    for run in runs where !run.range.isEmpty {
      var start = run.range.lowerBound
      while start < run.range.upperBound {
        let block = sharding.range(ofBlock: start / Sharding.blockSize)
        let end = min(block.upperBound, run.range.upperBound)
        if let last = pieces.indices.last, pieces[last].group == run.group, start > block.lowerBound {
          pieces[last].range = pieces[last].range.lowerBound..<end
        } else {
          pieces.append(Piece(range: start..<end, group: run.group))
        }
        start = end
      }
    }
    self.pieces = pieces
    let covered = pieces.reduce(0) { $1.range.lowerBound == $0 ? $1.range.upperBound : -1 }
    precondition(covered == sharding.count, "the runs do not cover \(sharding.count) parameters in order")
  }

  /// Elements of the table.
  package var tableCount: Int { pieces.count }

  /// Writes the sums of squares of a rank's shard into its places in the table, and 0 into all others.
  package func sumSquares(of gradients: FloatView, rank: Int, into table: UnsafeMutableBufferPointer<Double>) {
    precondition(table.count == pieces.count, "a table of \(table.count) for \(pieces.count) pieces")
    for (index, piece) in pieces.enumerated() {
      let isOwn = sharding.rank(ofBlock: piece.range.lowerBound / Sharding.blockSize) == rank
      table[index] = isOwn ? Elementwise.sumOfSquares(gradients[piece.range]) : 0
    }
  }

  /// The norm of a group's gradients, or of all, from the sum of all ranks' tables.
  ///
  /// - Parameters:
  ///   - group: nil is the whole arena.
  package func norm(ofGroup group: Int? = nil, from table: UnsafeBufferPointer<Double>) -> Double {
    var sum = 0.0
    for (index, piece) in pieces.enumerated() where group == nil || piece.group == group { sum += table[index] }
    return sum.squareRoot()
  }
}
