import AlignmentCore

/// What the trainer must provide for an objective.
package struct ObjectiveTraits: Sendable, Equatable {
  /// What the objective is a function of.
  package enum Output: String, Sendable {
    /// Log-probabilities of completions under a policy.
    case logProbability
    /// Scores of a reward model.
    case score
  }

  /// What is computed over the whole batch before any derivative.
  package enum Survey: String, Sendable {
    case none
    /// The log-probability of another prompt's completion behind each prompt, under policy and reference.
    case mismatched
    /// The log-probabilities of the batch itself.
    case own
  }

  package var groupKind: GroupKind
  package var needsReference: Bool
  package var output: Output
  package var survey: Survey

  package init(
    _ groupKind: GroupKind, needsReference: Bool, output: Output = .logProbability, survey: Survey = .none
  ) {
    self.groupKind = groupKind
    self.needsReference = needsReference
    self.output = output
    self.survey = survey
  }
}

/// A loss on what a model says about the completions of a prompt group, with its derivative.
///
/// A pure function: it knows nothing of models, tensors or ranks. Weights are applied by the caller, as factors on loss
/// and derivative; the sum over a batch is divided once, by the number (or the weight) of its examples, after all ranks
/// have added theirs.
package protocol Objective: Sendable {
  /// Name in recipes.
  static var name: String { get }
  /// One line for `adalign list`, with the paper.
  static var summary: String { get }
  static var options: [OptionDescription] { get }

  init(options: OptionValues)

  var traits: ObjectiveTraits { get }

  /// The loss of one group and its derivatives with respect to ``ScoredCompletion/policy`` of each completion.
  func loss(of group: ObjectiveGroup) -> Dual

  /// About how large the derivatives of a loss become at usual log-ratios; exact sums of gradients are scaled by it.
  var magnitude: Double { get }

  /// The implicit reward of a completion.
  func reward(_ completion: ScoredCompletion) -> Double

  /// Learns what the survey found, one group for each slot of the batch, before the losses of that batch.
  mutating func prepare(for batch: [ObjectiveGroup])

  /// Learns the results of a step when it is done.
  mutating func observe(_ batch: [ObjectiveGroup])

  /// What ``observe(_:)`` has gathered; part of a checkpoint.
  var state: [Double] { get set }

  /// Numbers for the log beside the usual ones, after ``prepare(for:)``.
  var metrics: [(name: String, value: Double)] { get }
}

extension Objective {
  package var magnitude: Double { 1 }
  package mutating func prepare(for batch: [ObjectiveGroup]) {}
  package mutating func observe(_ batch: [ObjectiveGroup]) {}
  package var state: [Double] {
    get { [] }
    set { precondition(newValue.isEmpty, "\(Self.name) has no state") }
  }
  package var metrics: [(name: String, value: Double)] { [] }
}

/// A completion in duals: what losses are written in.
struct DualCompletion {
  /// log π(y|x)
  let policy: Dual
  let reference: Double
  let tokens: Double

  /// - Parameters:
  ///   - index: which completion of the group it is.
  init(_ completion: ScoredCompletion, index: Int) {
    policy = Dual(completion.policy, derivatives: index == 0 ? [1, 0] : [0, 1])
    reference = completion.reference
    tokens = Double(completion.tokens)
  }

  /// log π(y|x) − log π_ref(y|x)
  var logRatio: Dual { policy - Dual(reference) }
  /// log π(y|x) per token.
  var average: Dual { policy / tokens }
}

/// An objective on pairs, given by its loss for a label that is right.
///
/// A label that is right with probability q costs q·ℓ(y⁺, y⁻) + (1 − q)·ℓ(y⁻, y⁺).
protocol PairObjective: Objective {
  /// Probability that a label is flipped, beside what the data say.
  var labelSmoothing: Double { get }

  /// - Parameters:
  ///   - group: for margins and token means; its margin holds for this order of the completions.
  func loss(_ chosen: DualCompletion, _ rejected: DualCompletion, in group: ObjectiveGroup) -> Dual
}

extension PairObjective {
  var labelSmoothing: Double { 0 }

  package func loss(of group: ObjectiveGroup) -> Dual {
    let (first, second) = (
      DualCompletion(group.completions[0], index: 0), DualCompletion(group.completions[1], index: 1)
    )
    let p = group.softLabel * (1 - labelSmoothing) + (1 - group.softLabel) * labelSmoothing
    guard p < 1 else { return loss(first, second, in: group) }
    var swapped = group
    swapped.margin = -group.margin
    return p * loss(first, second, in: group) + (1 - p) * loss(second, first, in: swapped)
  }
}

/// An objective on single completions with a label, given by its loss for a label that is right.
///
/// A label that is right with probability q costs q times that loss plus 1 − q times the loss of the other label.
protocol LabelledObjective: Objective {
  func loss(desirable completion: DualCompletion, in group: ObjectiveGroup) -> Dual
  func loss(undesirable completion: DualCompletion, in group: ObjectiveGroup) -> Dual
}

extension LabelledObjective {
  package func loss(of group: ObjectiveGroup) -> Dual {
    let completion = DualCompletion(group.completions[0], index: 0)
    let p = group.isDesirable ? group.softLabel : 1 - group.softLabel
    if p == 1 { return loss(desirable: completion, in: group) }
    if p == 0 { return loss(undesirable: completion, in: group) }
    return p * loss(desirable: completion, in: group) + (1 - p) * loss(undesirable: completion, in: group)
  }
}
