import AlignmentCore

/// An example as token ids, before it is stored.
package struct EncodedExample: Sendable {
  /// One completion as token ids.
  package struct Completion: Sendable {
    /// Its ids, end of sequence included unless it was cut away.
    package var tokens: [Int32]
    /// What the completion is.
    package var role: CompletionRole
    /// Its log-probability under the policy that generated the data, where known.
    package var sourceLogp: Double?
    /// The score that it was given, where it has one.
    package var score: Double?

    package init(tokens: [Int32], role: CompletionRole, sourceLogp: Double? = nil, score: Double? = nil) {
      self.tokens = tokens
      self.role = role
      self.sourceLogp = sourceLogp
      self.score = score
    }
  }

  /// Ids of the prompt, at least one.
  package var prompt: [Int32]
  /// The selected completions.
  package var completions: [Completion]
  /// Whether the prompt lost tokens.
  package var promptIsCut = false
  /// How many completions lost tokens.
  package var completionsCut = 0
  /// How many completions were tokenised separately because the joined ids did not extend the prompt's.
  package var fallbacks = 0

  package init(prompt: [Int32], completions: [Completion]) {
    self.prompt = prompt
    self.completions = completions
  }

  /// Tokens of the longest completion.
  package var longestCompletion: Int { completions.reduce(0) { max($0, $1.tokens.count) } }
}

/// Turns decoded rows into token ids that fit the model.
package struct ExampleEncoder<Encoder: TextEncoder> {
  private let encoder: Encoder
  private let options: EncodingOptions
  private let beginOfSequence: Int32?

  /// Prepares to encode rows by options that are valid.
  package init(encoder: Encoder, options: EncodingOptions) throws {
    self.encoder = encoder
    self.options = options
    // What an empty text gets; a prompt that begins with it begins with a special token.
    beginOfSequence = try encoder.encode([], addSpecialTokens: true).first
  }

  /// Encodes the completions that the options select: as one example, or each as one of its own.
  package func encode(_ row: PreferenceRow, at location: String) throws -> [EncodedExample] {
    let selected = try select(row, location)
    switch options.selection {
    case .pairs, .preferred, .all:
      return selected.isEmpty ? [] : [try encode(row.prompt, selected, location)]
    case .labelled, .scored: return try selected.map { try encode(row.prompt, [$0], location) }
    case .conditioned:
      return try selected.map { completion in
        let control = completion.role.isDesirable ? options.controls.desirable : options.controls.undesirable
        return try encode(row.prompt + Array(control.utf8), [completion], location)
      }
    }
  }

  private func encode(
    _ text: [UInt8], _ selected: [PreferenceRow.Completion], _ location: String
  ) throws -> EncodedExample {
    let prompt = try encoder.encode(text, addSpecialTokens: true)
    guard !prompt.isEmpty else {
      throw Fault(
        .data, "the prompt has no tokens, and one is needed to predict the completion from", at: location,
        hint: "the tokenizer adds no BOS; give every row a prompt that is not empty")
    }
    var example = EncodedExample(prompt: prompt, completions: [])
    for completion in selected {
      let (tokens, isFallback) = try ids(of: completion.text, after: text, prompt)
      example.completions.append(
        .init(tokens: tokens, role: completion.role, sourceLogp: completion.sourceLogp, score: completion.score))
      example.fallbacks += isFallback ? 1 : 0
    }
    try fit(&example, location)
    return example
  }

  private func select(_ row: PreferenceRow, _ location: String) throws -> [PreferenceRow.Completion] {
    switch options.selection {
    case .all: return row.completions
    case .labelled, .conditioned:
      guard row.completions.allSatisfy({ $0.role != .sample }) else {
        throw Fault(
          .data, "the objective needs labels, and the row has none", at: location,
          hint: "give 'chosen' and 'rejected', or 'completion' and 'label'")
      }
      return row.completions
    case .scored:
      guard row.completions.allSatisfy({ $0.score != nil }) else {
        throw Fault(
          .data, "the objective learns scores, and the row has none", at: location,
          hint: "give 'score' beside 'completion', or 'chosen_score' and 'rejected_score' beside a pair")
      }
      return row.completions
    case .preferred: return row.completions.filter(\.role.isDesirable)
    case .pairs:
      guard row.completions.count == 2, row.completions[0].role == .chosen else {
        throw Fault(
          .data, "the objective needs pairs, and this row has only a completion", at: location,
          hint: "give 'chosen' and 'rejected', or choose an objective for unpaired data")
      }
      return row.completions
    }
  }

  private func ids(of text: [UInt8], after prompt: [UInt8], _ promptIDs: [Int32]) throws -> ([Int32], isFallback: Bool)
  {
    if options.boundary == .joined {
      let joined = try encoder.encode(prompt + text, addSpecialTokens: true)
      if joined.count > promptIDs.count, joined.starts(with: promptIDs) {
        return (ended(Array(joined[promptIDs.count...])), false)
      }
    }
    let alone = try encoder.encode(text, addSpecialTokens: false)
    guard options.boundary == .joined else { return (alone + [options.endOfSequence], false) }
    return (ended(alone), true)
  }

  /// TRL's rule for joined texts: a completion that says itself where it ends is not ended twice.
  private func ended(_ tokens: [Int32]) -> [Int32] {
    tokens.last == options.endOfSequence ? tokens : tokens + [options.endOfSequence]
  }

  private func fit(_ example: inout EncodedExample, _ location: String) throws {
    let length = example.prompt.count + example.longestCompletion
    guard let maxLength = options.maxLength else {
      guard length <= options.contextLength else { throw tooLong(length, location) }
      return
    }
    let room = Truncation(
      prompt: example.prompt.count, completion: example.longestCompletion, maximum: maxLength,
      promptReserve: options.maxPromptLength)
    cutPrompt(&example, to: room.promptLength)
    for index in example.completions.indices where example.completions[index].tokens.count > room.completionLimit {
      example.completions[index].tokens.removeSubrange(room.completionLimit...)
      example.completionsCut += 1
    }
  }

  private func cutPrompt(_ example: inout EncodedExample, to length: Int) {
    guard example.prompt.count > length else { return }
    let lead = options.keep == .end && example.prompt.first == beginOfSequence ? 1 : 0
    let excess = example.prompt.count - length
    switch options.keep {
    case .start: example.prompt.removeLast(excess)
    case .end: example.prompt.removeSubrange(lead..<lead + excess)
    }
    example.promptIsCut = true
  }

  private func tooLong(_ length: Int, _ location: String) -> Fault {
    Fault(
      .data, "the row has \(length) tokens, and the model's context is \(options.contextLength)", at: location,
      hint: "truncate with data.max_length (--max-length), or leave the row out")
  }
}

/// How a prompt and its completions share a maximum length.
package struct Truncation: Sendable, Equatable {
  /// Tokens of the prompt that stay, at least 1.
  package let promptLength: Int
  /// Most tokens of any completion, at least 1.
  package let completionLimit: Int

  /// Cuts the prompt down to what the longest completion leaves, but not below its reserve; then the completions.
  package init(prompt: Int, completion: Int, maximum: Int, promptReserve: Int?) {
    precondition(maximum >= 2 && prompt >= 1 && completion >= 1, "\(prompt) + \(completion) tokens into \(maximum)")
    let allowed = max(maximum - completion, promptReserve ?? maximum / 2)
    let isOver = prompt + completion > maximum
    promptLength = isOver ? min(prompt, max(1, min(allowed, maximum - 1))) : prompt
    completionLimit = maximum - promptLength
  }
}
