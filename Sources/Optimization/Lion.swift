import AlignmentCore
import Kernels

/// Lion (Chen et al. 2023, arXiv 2302.06675, algorithm 2): steps of the sign of the momentum, with decoupled weight decay.
///
/// Every parameter moves by the whole learning rate, which should be 3 to 10 times smaller than AdamW's, and the weight
/// decay larger by as much (§5).
package final class Lion: Optimizer {
  package static let name = "lion"
  package static let summary = "sign of the momentum, decoupled weight decay, arXiv 2302.06675"
  package static let options = [
    OptionDescription("beta1", default: 0.9, in: 0...0.999_999, "share of the momentum in the direction of a step"),
    OptionDescription("beta2", default: 0.99, in: 0...0.999_999_9, "share of the momentum that is kept"),
  ]

  private let beta1: Double
  private let beta2: Double
  private let shard: ParameterShard
  private let state: ShardState

  package init(options: OptionValues, shard: [Range<Int>], runs: [ParameterRun], tensors: [TensorShape]) throws {
    beta1 = options["beta1"]
    beta2 = options["beta2"]
    self.shard = ParameterShard(shard, of: runs)
    state = try ShardState(["first_moment"], over: self.shard)
  }

  package var shardedState: [(name: String, view: FloatView)] { state.named }

  package func update(parameters: FloatView, gradients: FloatView, step: Int, groups: [GroupStep]) {
    for run in shard.runs {
      let group = groups[run.group]
      LionKernel.update(
        parameters: parameters[run.range], gradients: gradients[run.range], momentum: state[0][run.local],
        LionKernel.Step(
          learningRate: Float(group.learningRate), beta1: beta1, beta2: beta2, weightDecay: run.weightDecay(group),
          gradientScale: Float(group.gradientScale)))
    }
  }
}
