/// What a completion is in its example.
package enum CompletionRole: UInt8, Sendable, CaseIterable {
  /// The preferred completion of a pair.
  case chosen = 0
  /// The other completion of a pair.
  case rejected = 1
  /// A completion on its own that is good.
  case desirable = 2
  /// A completion on its own that is bad.
  case undesirable = 3
  /// One of several samples of its prompt, without a label.
  case sample = 4

  /// Whether it is a completion to be preferred.
  package var isDesirable: Bool { self == .chosen || self == .desirable }

  /// The name used in files.
  package var name: String {
    switch self {
    case .chosen: "chosen"
    case .rejected: "rejected"
    case .desirable: "desirable"
    case .undesirable: "undesirable"
    case .sample: "sample"
    }
  }
}

/// One row of a preference file, decoded but not tokenised.
package struct PreferenceRow: Sendable, Equatable {
  /// A completion as text.
  package struct Completion: Sendable, Equatable {
    /// UTF-8 bytes, never empty.
    package var text: [UInt8]
    /// What the completion is.
    package var role: CompletionRole
    /// Its log-probability under the policy that generated the data, in nats, where the row gives it.
    package var sourceLogp: Double?
    /// The score that it was given, where the row has one.
    package var score: Double?

    /// A completion and what is known of it.
    package init(text: [UInt8], role: CompletionRole, sourceLogp: Double? = nil, score: Double? = nil) {
      self.text = text
      self.role = role
      self.sourceLogp = sourceLogp
      self.score = score
    }
  }

  /// UTF-8 bytes; may be empty.
  package var prompt: [UInt8]
  /// Chosen and rejected, or one completion, or samples.
  package var completions: [Completion]
  /// Importance weight w, finite and not negative.
  package var weight = 1.0
  /// Soft label q: the probability that the first completion is the better one.
  package var q = 1.0
  /// By how much the first completion is better, as the data say.
  package var margin = 0.0
  /// The domain the row is from.
  package var domain: String?
  /// The model that wrote the completions.
  package var generator: String?
  /// Whether the prompt was the common prefix of two texts of which one is a prefix of the other, a dubious pair.
  package var isPrefixPair = false

  /// A row with the default weight and labels.
  package init(prompt: [UInt8], completions: [Completion]) {
    self.prompt = prompt
    self.completions = completions
  }
}
