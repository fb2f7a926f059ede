import AlignmentCore
import Kernels

/// RMSprop (Tieleman and Hinton 2012, COURSERA lecture 6.5) in the form that PyTorch gave it, centred on request as by
/// Graves 2013 (arXiv 1308.0850, eq. 38–41).
///
/// Weight decay is coupled, as PyTorch has it: weight decay · parameter is added to the clipped gradient (an L2 penalty).
package final class RMSProp: Optimizer {
  package static let name = "rmsprop"
  package static let summary = "PyTorch's RMSprop with L2 weight decay, Tieleman and Hinton 2012; arXiv 1308.0850"
  package static let options = [
    OptionDescription("alpha", default: 0.99, in: 0...0.999_999_9, "share of the averages that is kept"),
    OptionDescription("epsilon", default: 1e-8, in: 0...1, "added to the root of the average square"),
    OptionDescription("momentum", default: 0, in: 0...0.999_999, "share of the last update that is kept"),
    OptionDescription(flag: "centered", "divide by the deviation of the gradient instead of its size"),
  ]

  private let alpha: Double
  private let epsilon: Double
  private let momentum: Double
  private let isCentered: Bool
  private let shard: ParameterShard
  private let state: ShardState

  package init(options: OptionValues, shard: [Range<Int>], runs: [ParameterRun], tensors: [TensorShape]) throws {
    alpha = options["alpha"]
    epsilon = options["epsilon"]
    momentum = options["momentum"]
    isCentered = options.isOn("centered")
    self.shard = ParameterShard(shard, of: runs)
    let names =
      ["second_moment"] + (isCentered ? ["first_moment"] : []) + (momentum > 0 ? ["momentum"] : [])
    state = try ShardState(names, over: self.shard)
  }

  package var shardedState: [(name: String, view: FloatView)] { state.named }

  package func update(parameters: FloatView, gradients: FloatView, step: Int, groups: [GroupStep]) {
    for run in shard.runs {
      let group = groups[run.group]
      RMSPropKernel.update(
        parameters: parameters[run.range], gradients: gradients[run.range],
        RMSPropKernel.State(
          squareAverage: state[0][run.local], gradientAverage: isCentered ? state[1][run.local] : nil,
          momentum: momentum > 0 ? state[isCentered ? 2 : 1][run.local] : nil),
        RMSPropKernel.Step(
          learningRate: Float(group.learningRate), alpha: alpha, epsilon: Float(epsilon), momentum: Float(momentum),
          weightDecay: run.weightDecay(group), gradientScale: Float(group.gradientScale)))
    }
  }
}
