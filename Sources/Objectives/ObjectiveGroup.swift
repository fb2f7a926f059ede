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

/// The one or two completions of a group, held in place, so that groups are made without allocation.
package struct CompletionList: Sendable, RandomAccessCollection, MutableCollection, ExpressibleByArrayLiteral {
  private var first = ScoredCompletion(policy: 0, tokens: 1)
  private var second = ScoredCompletion(policy: 0, tokens: 1)
  package private(set) var count = 0

  package init(arrayLiteral elements: ScoredCompletion...) { self.init(elements) }

  package init(_ elements: some Sequence<ScoredCompletion>) { for element in elements { append(element) } }

  package var startIndex: Int { 0 }
  package var endIndex: Int { count }

  package subscript(index: Int) -> ScoredCompletion {
    get {
      precondition(index >= 0 && index < count, "completion \(index) of \(count)")
      return index == 0 ? first : second
    }
    set {
      precondition(index >= 0 && index < count, "completion \(index) of \(count)")
      if index == 0 { first = newValue } else { second = newValue }
    }
  }

  package mutating func append(_ completion: ScoredCompletion) {
    precondition(count < 2, "a group of preferences has two completions at most")
    count += 1
    self[count - 1] = completion
  }

  package mutating func removeAll() { count = 0 }
}

/// What an objective is told about one prompt group: its completions in the order that the objective's group kind fixes.
package struct ObjectiveGroup: Sendable {
  package var completions: CompletionList
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
    completions: some Sequence<ScoredCompletion> = [], isDesirable: Bool = true, softLabel: Double = 1,
    margin: Double = 0,
    weight: Double = 1, examplesPerToken: Double = 1, slot: Int = 0
  ) {
    self.completions = CompletionList(completions)
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
