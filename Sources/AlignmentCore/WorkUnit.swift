/// A completion inside a ``WorkUnit``.
package struct CompletionSpan: Sendable {
  /// Index of the completion's first token in the unit; its inputs are `firstToken ..< firstToken + inputCount`.
  package var firstToken: Int
  /// How many of its tokens are inputs of the model: all but the last, which nothing is predicted from, or all where the
  /// completion is scored as a whole.
  package var inputCount: Int
  /// The completion's rows among the unit's predictions: one for each of its tokens, or a single one for its score.
  package var rows: Range<Int>
  /// Tokens of the completion, end of sequence included.
  package var tokenCount: Int
}

/// A prompt and the completions that share it, inside a ``WorkUnit``.
package struct GroupSpan: Sendable {
  /// Index of the example in its dataset.
  package var example: Int
  /// Position of the group in the list that the units were packed from (a batch, a dataset).
  package var slot: Int
  /// Index of the prompt's first token in the unit.
  package var firstToken: Int
  package var promptLength: Int
  /// Indices of its completions in ``WorkUnit/completions``.
  package var completions: Range<Int>
}

/// A few prompt groups as one flat list of tokens: the piece of work that a rank executes at a time.
///
/// A group lies as prompt, completion 1, completion 2, … Every completion attends to the prompt and to itself, so its
/// positions go on from the prompt's. There is no padding.
package struct WorkUnit: Sendable {
  /// (T) inputs of the model.
  package private(set) var tokens: [Int32] = []
  /// (T) position of each token in its own sequence.
  package private(set) var positions: [Int32] = []
  package private(set) var groups: [GroupSpan] = []
  package private(set) var completions: [CompletionSpan] = []
  /// (R) index of the token from which each completion token, or each score, is predicted.
  package private(set) var predictionSources: [Int32] = []
  /// (R) the completion tokens; for a score, the last token.
  package private(set) var targets: [Int32] = []

  package init() {}

  /// Makes room, so that groups within these totals can be added without allocation.
  package mutating func reserve(tokens tokenCount: Int, groups groupCount: Int, completions completionCount: Int) {
    tokens.reserveCapacity(tokenCount)
    positions.reserveCapacity(tokenCount)
    predictionSources.reserveCapacity(tokenCount + completionCount)
    targets.reserveCapacity(tokenCount + completionCount)
    groups.reserveCapacity(groupCount)
    completions.reserveCapacity(completionCount)
  }

  /// Forgets the groups but keeps the memory.
  package mutating func removeAll() {
    tokens.removeAll(keepingCapacity: true)
    positions.removeAll(keepingCapacity: true)
    predictionSources.removeAll(keepingCapacity: true)
    targets.removeAll(keepingCapacity: true)
    groups.removeAll(keepingCapacity: true)
    completions.removeAll(keepingCapacity: true)
  }

  /// Begins a group with its prompt, which must not be empty.
  package mutating func beginGroup(example: Int, slot: Int, prompt: UnsafeBufferPointer<Int32>) {
    precondition(!prompt.isEmpty, "a prompt needs at least one token to predict from")
    groups.append(
      GroupSpan(
        example: example, slot: slot, firstToken: tokens.count, promptLength: prompt.count,
        completions: completions.count..<completions.count))
    append(prompt, from: 0)
  }

  /// Adds a completion, which must not be empty, to the group begun last.
  package mutating func addCompletion(_ completion: UnsafeBufferPointer<Int32>) {
    precondition(!completion.isEmpty, "a completion needs at least one token")
    let group = groups.count - 1
    let promptLength = groups[group].promptLength
    let span = CompletionSpan(
      firstToken: tokens.count, inputCount: completion.count - 1,
      rows: targets.count..<targets.count + completion.count, tokenCount: completion.count)
    predictionSources.append(Int32(groups[group].firstToken + promptLength - 1))
    for offset in 0..<span.inputCount { predictionSources.append(Int32(span.firstToken + offset)) }
    for token in completion { targets.append(token) }
    append(UnsafeBufferPointer(rebasing: completion.dropLast()), from: promptLength)
    completions.append(span)
    groups[group].completions = groups[group].completions.lowerBound..<completions.count
  }

  /// Adds a completion whose last token is an input, too: its score is read there.
  package mutating func addScoredCompletion(_ completion: UnsafeBufferPointer<Int32>) {
    precondition(!completion.isEmpty, "a completion needs at least one token")
    let group = groups.count - 1
    completions.append(
      CompletionSpan(
        firstToken: tokens.count, inputCount: completion.count, rows: targets.count..<targets.count + 1,
        tokenCount: completion.count))
    predictionSources.append(Int32(tokens.count + completion.count - 1))
    targets.append(completion[completion.count - 1])
    append(completion, from: groups[group].promptLength)
    groups[group].completions = groups[group].completions.lowerBound..<completions.count
  }

  /// Adds a token that belongs to no group: the newest of one of the sequences of a step of decoding.
  package mutating func appendToken(_ token: Int32, at position: Int) {
    tokens.append(token)
    positions.append(Int32(position))
  }

  private mutating func append(_ run: UnsafeBufferPointer<Int32>, from position: Int) {
    for (offset, token) in run.enumerated() {
      tokens.append(token)
      positions.append(Int32(position + offset))
    }
  }
}
