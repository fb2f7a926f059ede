import AlignmentCore

/// A run of the parameter arena whose elements are treated alike.
package struct ParameterRun: Sendable, Equatable {
  /// In arena coordinates.
  package var range: Range<Int>
  /// Index of the parameter group: backbone, value head, …
  package var group: Int
  /// Whether weight decay shrinks the parameters.
  package var decays: Bool

  package init(range: Range<Int>, group: Int, decays: Bool) {
    self.range = range
    self.group = group
    self.decays = decays
  }
}

/// Where a tensor lies in the parameter arena, and its shape.
package struct TensorShape: Sendable, Equatable {
  /// In arena coordinates.
  package var range: Range<Int>
  package var shape: [Int]

  package init(range: Range<Int>, shape: [Int]) {
    precondition(shape.reduce(1, *) == range.count, "shape \(shape) is not that of \(range.count) elements")
    self.range = range
    self.shape = shape
  }
}

/// What one update needs to know of a parameter group.
package struct GroupStep: Sendable, Equatable {
  /// Learning rate of this step, schedule included.
  package var learningRate: Double
  package var weightDecay: Double
  /// Factor on the gradients: gradient clipping.
  package var gradientScale: Double

  package init(learningRate: Double, weightDecay: Double, gradientScale: Double) {
    self.learningRate = learningRate
    self.weightDecay = weightDecay
    self.gradientScale = gradientScale
  }
}

/// A method that turns gradients into new parameters, on one rank's shard of the arenas.
///
/// The bits of parameters and state do not depend on how the arena is cut into shards. Learning rate, weight decay and
/// clipping belong to parameter groups and are no options.
package protocol Optimizer: AnyObject, SendableMetatype {
  /// Name in recipes.
  static var name: String { get }
  /// One line for `adalign list`, with the paper.
  static var summary: String { get }
  static var options: [OptionDescription] { get }
  /// Whether ``update(parameters:gradients:step:groups:)`` reads all gradients of the arena, not only those of the shard.
  static var needsWholeGradients: Bool { get }

  /// - Parameters:
  ///   - shard: ascending, disjoint ranges of the arena.
  ///   - runs: ascending, disjoint, covering the arena.
  ///   - tensors: ascending, disjoint, covering the arena; none lies in two runs.
  /// - Throws: ``Fault`` if there is no memory or the options contradict each other.
  init(options: OptionValues, shard: [Range<Int>], runs: [ParameterRun], tensors: [TensorShape]) throws

  /// Vectors of one element for each parameter of the shard, in the order of checkpoints.
  var shardedState: [(name: String, view: FloatView)] { get }
  /// Vectors that are the same on every rank, in the order of checkpoints.
  var replicatedState: [(name: String, view: FloatView)] { get }

  /// Updates the shard of the parameters in place; allocates nothing.
  ///
  /// - Parameters:
  ///   - parameters: the whole arena.
  ///   - gradients: the whole arena, of which only the shard is read unless ``needsWholeGradients``.
  ///   - step: counted from 0.
  ///   - groups: one element for each parameter group.
  func update(parameters: FloatView, gradients: FloatView, step: Int, groups: [GroupStep])
}

extension Optimizer {
  package static var needsWholeGradients: Bool { false }
  package var replicatedState: [(name: String, view: FloatView)] { [] }
}

/// An option that is on or off.
enum YesOrNo: String, CaseIterable {
  case no
  case yes
}

extension OptionDescription {
  /// An option that is off unless asked for.
  init(flag name: String, _ meaning: String) { self.init(name, default: YesOrNo.no, meaning) }
}

extension OptionValues {
  /// Whether an option is on.
  func isOn(_ name: String) -> Bool { choice(name) == YesOrNo.yes }
}
