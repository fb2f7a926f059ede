import AlignmentCore
import Kernels

/// Clipping by the global L2 norm, in a form whose bits do not depend on the number of ranks.
package enum GradientClipping {
  /// Writes the sum of squares of each block of a rank's shard into its place in a table over all blocks.
  ///
  /// - Parameters:
  ///   - table: one element per block of the arena; elements of other ranks' blocks become 0.
  package static func sumSquares(
    of gradients: FloatView, _ sharding: Sharding, rank: Int, into table: UnsafeMutableBufferPointer<Double>
  ) {
    let own = sharding.blocks(ofRank: rank)
    for block in 0..<sharding.blockCount {
      table[block] = own.contains(block) ? Elementwise.sumOfSquares(gradients[sharding.range(ofBlock: block)]) : 0
    }
  }

  /// The factor that brings a norm down to a maximum: min(1, maximum / (norm + 10⁻⁶)), as PyTorch has it.
  package static func scale(norm: Double, maximum: Double) -> Double {
    maximum > 0 ? min(1, maximum / (norm + 1e-6)) : 1
  }
}
