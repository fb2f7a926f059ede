import AlignmentCore
import Kernels

#if canImport(Glibc)
  import Glibc
#endif

/// AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2), in the form that PyTorch gave it: the decay is
/// learning rate · weight decay.
package final class AdamW: Optimizer {
  package static let name = "adamw"
  package static let summary = "Adam with decoupled weight decay, arXiv 1711.05101"
  package static let options = [
    OptionDescription("beta1", default: 0.9, in: 0...0.999_999, "share of the average gradient that is kept"),
    OptionDescription("beta2", default: 0.999, in: 0...0.999_999_9, "share of the average square that is kept"),
    OptionDescription("epsilon", default: 1e-8, in: 0...1, "added to the root of the average square"),
  ]

  private let beta1: Double
  private let beta2: Double
  private let epsilon: Double
  private let shard: ParameterShard
  private let state: ShardState

  package init(options: OptionValues, shard: [Range<Int>], runs: [ParameterRun], tensors: [TensorShape]) throws {
    beta1 = options["beta1"]
    beta2 = options["beta2"]
    epsilon = options["epsilon"]
    self.shard = ParameterShard(shard, of: runs)
    state = try ShardState(["first_moment", "second_moment"], over: self.shard)
  }

  package var shardedState: [(name: String, view: FloatView)] { state.named }

  package func update(parameters: FloatView, gradients: FloatView, step: Int, groups: [GroupStep]) {
    let correction1 = Float(1 - pow(beta1, Double(step + 1)))
    let correction2Root = Float((1 - pow(beta2, Double(step + 1))).squareRoot())
    for run in shard.runs {
      let group = groups[run.group]
      AdamWKernel.update(
        parameters: parameters[run.range], gradients: gradients[run.range], firstMoment: state[0][run.local],
        secondMoment: state[1][run.local],
        AdamWKernel.Step(
          learningRate: Float(group.learningRate), beta1: beta1, beta2: beta2, epsilon: Float(epsilon),
          weightDecay: run.weightDecay(group), biasCorrection1: correction1, biasCorrection2Root: correction2Root,
          gradientScale: Float(group.gradientScale)))
    }
  }
}
