import AlignmentCore

/// What an objective is told about one completion.
package struct CompletionLogProbability: Sendable {
  /// log π(y|x), summed over the completion's tokens, in nats.
  package var policy: Double
  /// The same under the reference policy; 0 where the objective needs none.
  package var reference: Double
  /// Tokens of the completion, end of sequence included.
  package var tokens: Int

  package init(policy: Double, reference: Double = 0, tokens: Int) {
    self.policy = policy
    self.reference = reference
    self.tokens = tokens
  }

  /// log π(y|x) − log π_ref(y|x)
  package var logRatio: Double { policy - reference }
}

/// What an objective is told about one prompt group: its completions in the order that the objective's data kind fixes.
package struct ObjectiveGroup: Sendable {
  package var completions: [CompletionLogProbability]
  /// Probability that the label is right: 1 for a hard label.
  package var softLabel: Double
  /// How much better the first completion is said to be.
  package var margin: Double

  package init(completions: [CompletionLogProbability] = [], softLabel: Double = 1, margin: Double = 0) {
    self.completions = completions
    self.softLabel = softLabel
    self.margin = margin
  }
}

/// The completions that an objective wants in a group.
package enum GroupKind: String, Sendable {
  /// Chosen and rejected.
  case pair
  /// The chosen or desirable completion alone.
  case preferred
}

/// What the sum of an objective's losses is divided by.
package enum NormalizationUnit: Sendable {
  case examples
  case tokens
}

/// A loss on the log-probabilities of a prompt group, with its derivative.
///
/// A pure function: it knows nothing of models, batches or ranks. Weights are applied by the caller, as factors on loss and
/// derivative; sums are divided once, after all ranks have added theirs.
package protocol Objective: Sendable {
  /// Name in recipes.
  static var name: String { get }
  /// One line for `adalign list`, with the paper.
  static var summary: String { get }
  static var options: [OptionDescription] { get }
  static var groupKind: GroupKind { get }
  static var needsReference: Bool { get }
  static var normalizationUnit: NormalizationUnit { get }

  init(options: OptionValues)

  /// The loss of one group.
  ///
  /// - Parameters:
  ///   - derivatives: receives ∂loss / ∂log π(y|x) for each completion; has one element for each already.
  func evaluate(_ group: ObjectiveGroup, derivatives: inout [Double]) -> Double

  /// The implicit reward of a completion, or nil where the objective has none.
  func reward(_ completion: CompletionLogProbability) -> Double?
}

extension Objective {
  package func reward(_ completion: CompletionLogProbability) -> Double? { nil }
}
