import AlignmentCore

/// How rows become token sequences.
package struct EncodingOptions: Sendable, Equatable {
  /// Which part of an over-long prompt survives.
  package enum KeptPart: String, Sendable, CaseIterable {
    /// The beginning.
    case start
    /// The end, after a leading BOS.
    case end
  }

  /// How prompt and completion meet.
  package enum Boundary: String, Sendable, CaseIterable {
    /// Prompt and completion are tokenised as one text; the completion is what follows the prompt's ids.
    case joined
    /// Each is tokenised on its own, the completion without special tokens.
    case separate
  }

  /// What a bad row does.
  package enum ErrorHandling: String, Sendable, CaseIterable {
    /// It ends the preparation.
    case fail
    /// It is counted, listed and left out.
    case skip
  }

  /// Which completions are wanted.
  package enum Selection: String, Sendable, CaseIterable {
    /// Rows with chosen and rejected; a row without is a fault.
    case pairs
    /// Only what is good: the chosen or desirable completion; undesirable rows are dropped.
    case preferred
    /// Each completion as an example of its own, with its label.
    case labelled
    /// The same, behind a prompt that ends with the control text of its label.
    case conditioned
    /// Each completion as an example of its own, with its score; a row without scores is a fault.
    case scored
    /// Everything.
    case all
  }

  /// Longest prompt + completion in tokens, to which longer ones are cut; nil refuses those beyond the context.
  package var maxLength: Int?
  /// Longest sequence of the model, in tokens.
  package var contextLength: Int
  /// What an over-long prompt keeps at least, in tokens; nil is half of `maxLength`.
  package var maxPromptLength: Int?
  /// Which part of an over-long prompt survives.
  package var keep: KeptPart = .end
  /// How prompt and completion meet.
  package var boundary: Boundary = .joined
  /// The id that ends each completion; a joined completion that ends with it already is left alone.
  package var endOfSequence: Int32
  /// What a bad row does.
  package var onError: ErrorHandling = .fail
  /// Which completions are wanted.
  package var selection: Selection = .pairs
  /// What the prompts of good and bad completions end with where these are conditioned.
  package var controls = ControlTexts()

  /// The defaults for a model and its tokenizer.
  package init(contextLength: Int, endOfSequence: Int32) {
    self.contextLength = contextLength
    self.endOfSequence = endOfSequence
  }

  /// Throws `.configuration` if the lengths contradict each other.
  package func validate() throws {
    try require(contextLength >= 2, "the model's context of \(contextLength) tokens is too short")
    try require(endOfSequence >= 0, "end-of-sequence id \(endOfSequence) is negative")
    if let maxLength {
      try require(maxLength >= 2, "data.max_length \(maxLength) leaves no room for prompt and completion")
      try require(
        maxLength <= contextLength, "data.max_length \(maxLength) exceeds the model's context of \(contextLength)")
    }
    if let maxPromptLength {
      try require(maxPromptLength >= 1, "data.max_prompt_length \(maxPromptLength) is not positive")
      try require(
        maxPromptLength < maxLength ?? .max, "data.max_prompt_length \(maxPromptLength) is not below data.max_length")
    }
  }

  /// Every option in one line, for cache keys.
  var canonicalText: String {
    """
    max=\(maxLength ?? -1) context=\(contextLength) prompt=\(maxPromptLength ?? -1) \
    keep=\(keep.rawValue) boundary=\(boundary.rawValue) eos=\(endOfSequence) error=\(onError.rawValue) \
    selection=\(selection.rawValue) controls=\(selection == .conditioned ? controls.canonicalText : "")
    """
  }

  private func require(_ condition: Bool, _ what: String) throws {
    if !condition { throw Fault(.configuration, what, hint: "correct the data section of the recipe") }
  }
}

/// Texts that tell a model which kind of completion is wanted.
package struct ControlTexts: Sendable, Equatable {
  package var desirable: String
  package var undesirable: String

  package init(desirable: String = "<|good|>", undesirable: String = "<|bad|>") {
    self.desirable = desirable
    self.undesirable = undesirable
  }

  fileprivate var canonicalText: String { "\(desirable.utf8.count):\(desirable):\(undesirable)" }
}
