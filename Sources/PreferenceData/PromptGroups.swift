import AlignmentCore

/// What a prompt group adds to a work unit.
package struct GroupSize: Sendable, Equatable {
  /// Inputs of the model.
  package var tokens: Int
  /// Rows of the head.
  package var predictions: Int

  package init(tokens: Int, predictions: Int) {
    self.tokens = tokens
    self.predictions = predictions
  }
}

/// Numbered prompt groups that work units are packed from.
package protocol PromptGroups {
  func size(ofGroup index: Int) -> GroupSize
  /// Adds a group to a unit; `slot` is its place in the list that is being packed.
  func add(_ index: Int, slot: Int, to unit: inout WorkUnit)
}

extension TokenizedDataset: PromptGroups {
  package func size(ofGroup index: Int) -> GroupSize {
    let record = example(index)
    return GroupSize(
      tokens: record.tokenCount - record.completionCount, predictions: record.tokenCount - record.promptLength)
  }

  package func add(_ index: Int, slot: Int, to unit: inout WorkUnit) {
    let record = example(index)
    unit.beginGroup(example: index, slot: slot, prompt: promptTokens(of: record))
    for offset in 0..<record.completionCount {
      unit.addCompletion(tokens(completion(offset, of: record).tokenRange))
    }
  }
}

/// The groups of a dataset for a model that scores whole completions: the last token is an input, too, and each completion
/// has one row of the head.
package struct ScoredGroups: PromptGroups {
  private let dataset: TokenizedDataset

  package init(_ dataset: TokenizedDataset) { self.dataset = dataset }

  package func size(ofGroup index: Int) -> GroupSize {
    let record = dataset.example(index)
    return GroupSize(tokens: record.tokenCount, predictions: record.completionCount)
  }

  package func add(_ index: Int, slot: Int, to unit: inout WorkUnit) {
    let record = dataset.example(index)
    unit.beginGroup(example: index, slot: slot, prompt: dataset.promptTokens(of: record))
    for offset in 0..<record.completionCount {
      unit.addScoredCompletion(dataset.tokens(dataset.completion(offset, of: record).tokenRange))
    }
  }
}

/// Prompts of a batch, each with the completion of another prompt: what KTO estimates its divergence from (Ethayarajh et al.
/// 2024, arXiv 2402.01306, §4.1). Groups are numbered by their place in the batch.
package struct MismatchedGroups: PromptGroups {
  private let dataset: TokenizedDataset
  private let contextLength: Int
  /// Prompt and completion of each group, as examples of the dataset.
  private let pairs: [(prompt: Int, completion: Int)]

  /// Shifts the completions of a batch cyclically by one place, or by as many more as it takes to reach another prompt. An
  /// example that finds none is left out.
  package init(_ examples: [Int], of dataset: TokenizedDataset, contextLength: Int) {
    self.dataset = dataset
    self.contextLength = contextLength
    pairs = examples.indices.compactMap { slot in
      let other = (1..<max(examples.count, 1)).lazy.map { examples[(slot + $0) % examples.count] }
        .first { !dataset.haveEqualPrompts(examples[slot], $0) }
      return other.map { (examples[slot], $0) }
    }
  }

  package var count: Int { pairs.count }

  /// The example whose prompt each group has.
  package var examples: [Int] { pairs.map(\.prompt) }

  package func size(ofGroup index: Int) -> GroupSize {
    let (prompt, completion) = tokens(index)
    return GroupSize(tokens: prompt.count + completion.count - 1, predictions: completion.count)
  }

  package func add(_ index: Int, slot: Int, to unit: inout WorkUnit) {
    let (prompt, completion) = tokens(index)
    unit.beginGroup(example: pairs[index].prompt, slot: slot, prompt: prompt)
    unit.addCompletion(completion)
  }

  /// A completion that is too long behind its new prompt loses its end.
  private func tokens(_ index: Int) -> (prompt: UnsafeBufferPointer<Int32>, completion: UnsafeBufferPointer<Int32>) {
    let prompt = dataset.promptTokens(of: dataset.example(pairs[index].prompt))
    let other = dataset.example(pairs[index].completion)
    let completion = dataset.tokens(dataset.completion(0, of: other).tokenRange)
    return (prompt, UnsafeBufferPointer(rebasing: completion.prefix(max(1, contextLength - prompt.count))))
  }
}

extension TokenizedDataset {
  fileprivate func haveEqualPrompts(_ a: Int, _ b: Int) -> Bool {
    promptTokens(of: example(a)).elementsEqual(promptTokens(of: example(b)))
  }
}
