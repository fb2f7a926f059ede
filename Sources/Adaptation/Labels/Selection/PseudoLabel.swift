import AlignmentCore

/// A label that a preference function gave to responses of the policy.
package struct PseudoLabel: Sendable, Equatable {
  /// What kind of example it makes.
  package enum Kind: String, Sendable, CaseIterable {
    /// Prompt, chosen, rejected.
    case pair
    /// Prompt, completion, and whether it is desirable.
    case response
    /// Prompt and completion, to be imitated.
    case imitation
  }

  /// Where the label is from.
  package enum Source: String, Sendable, CaseIterable {
    case judge
    case scores
  }

  package var kind: Kind
  package var source: Source
  /// The place of the group in the list of groups.
  package var group: Int
  /// The number of the group's prompt.
  package var prompt: Int
  /// The place in the group of the better response, or of the only one.
  package var first: Int
  /// The place of the worse response of a pair.
  package var second: Int?
  /// The probability that the first response is the better one, at least ½; or that the only one is desirable.
  package var q: Double
  /// Weight that the pairing scheme gives.
  package var weight: Double
  /// |2q − 1| as it was judged, also where q was made certain.
  package var confidence: Double
  /// The scores of first and second, of the judge where it gives scores, else of the group; empty where there are none.
  package var scores: [Double]
  package var positionBias: Double?

  /// The hard label of a single response.
  package var isDesirable: Bool { q >= 0.5 }
}
