import AlignmentCore
import Kernels

/// Stochastic gradient descent with the momentum of Sutskever et al. 2013 ("On the importance of initialization and momentum
/// in deep learning", eq. 1–4), in the form that PyTorch gave it.
///
/// Weight decay is coupled, as PyTorch has it: weight decay · parameter is added to the clipped gradient (an L2 penalty).
package final class SGD: Optimizer {
  package static let name = "sgd"
  package static let summary = "PyTorch's gradient descent with L2 weight decay; momentum, Sutskever et al. 2013"
  package static let options = [
    OptionDescription("momentum", default: 0, in: 0...0.999_999, "share of the running sum that is kept"),
    OptionDescription("dampening", default: 0, in: 0...1, "share of a gradient that does not join the running sum"),
    OptionDescription(flag: "nesterov", "look ahead by the momentum; needs momentum and no dampening"),
  ]

  private let momentum: Double
  private let dampening: Double
  private let isNesterov: Bool
  private let shard: ParameterShard
  private let state: ShardState

  package init(options: OptionValues, shard: [Range<Int>], runs: [ParameterRun], tensors: [TensorShape]) throws {
    momentum = options["momentum"]
    dampening = options["dampening"]
    isNesterov = options.isOn("nesterov")
    guard !isNesterov || (momentum > 0 && dampening == 0) else {
      throw Fault(
        .configuration, "needs momentum and no dampening", at: "optimizer.nesterov",
        hint: "set optimizer.momentum=0.9 and optimizer.dampening=0")
    }
    self.shard = ParameterShard(shard, of: runs)
    state = try ShardState(momentum > 0 ? ["momentum"] : [], over: self.shard)
  }

  package var shardedState: [(name: String, view: FloatView)] { state.named }

  package func update(parameters: FloatView, gradients: FloatView, step: Int, groups: [GroupStep]) {
    for run in shard.runs {
      let group = groups[run.group]
      SGDKernel.update(
        parameters: parameters[run.range], gradients: gradients[run.range],
        runningSum: momentum > 0 ? state[0][run.local] : nil,
        SGDKernel.Step(
          learningRate: Float(group.learningRate), momentum: Float(momentum),
          gradientShare: step == 0 ? 1 : Float(1 - dampening), isNesterov: isNesterov,
          weightDecay: run.weightDecay(group), gradientScale: Float(group.gradientScale)))
    }
  }
}
