/// What an objective is told about one completion.
package struct ScoredCompletion: Sendable {
  /// log π(y|x), summed over the completion's tokens, in nats; for a reward model, its score.
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

/// What an objective is told about one prompt group: its completions in the order that the objective's group kind fixes.
package struct ObjectiveGroup: Sendable {
  package var completions: [ScoredCompletion]
  /// Whether a completion on its own is a good one.
  package var isDesirable: Bool
  /// Probability that the label is right: 1 for a hard label.
  package var softLabel: Double
  /// How much better the first completion is said to be; for a completion on its own, the score it was given.
  package var margin: Double
  /// The example's weight. The caller applies it; objectives that couple the examples of a batch see it here.
  package var weight: Double
  /// Examples of the batch divided by its tokens: turns a sum over tokens into the batch's token mean.
  package var examplesPerToken: Double
  /// Position in the batch.
  package var slot: Int

  package init(
    completions: [ScoredCompletion] = [], isDesirable: Bool = true, softLabel: Double = 1, margin: Double = 0,
    weight: Double = 1, examplesPerToken: Double = 1, slot: Int = 0
  ) {
    self.completions = completions
    self.isDesirable = isDesirable
    self.softLabel = softLabel
    self.margin = margin
    self.weight = weight
    self.examplesPerToken = examplesPerToken
    self.slot = slot
  }
}

/// The completions that an objective wants in a group.
package enum GroupKind: String, Sendable {
  /// Chosen and rejected.
  case pair
  /// The chosen or desirable completion alone.
  case preferred
  /// One completion with a label; a pair becomes two groups.
  case labelled
  /// One completion behind a prompt that ends with a control token for its label; a pair becomes two groups.
  case conditioned
  /// One completion with a score; a pair with scores becomes two groups.
  case scored
}
