import AlignmentCore
import Collectives
import Transformer

// What commands ask of the models that they are given, before any work is done.

extension ModelSource {
  /// - Throws: ``Fault`` for a reward model.
  func requireLanguageModel(_ directory: String, for purpose: String) throws {
    guard head != .score else {
      throw Fault(
        .usage, "is a reward model, and \(purpose) needs a language model", at: directory,
        hint: "name a …ForCausalLM model")
    }
  }

  /// - Throws: ``Fault`` for a language model.
  func requireRewardModel(_ directory: String, for purpose: String) throws {
    guard head == .score else {
      throw Fault(
        .usage, "is no reward model, and \(purpose) needs one", at: directory,
        hint: "name a …ForSequenceClassification model with one label, such as bradley_terry trains")
    }
  }

  /// - Throws: ``Fault`` unless every id means the same token here and in another model.
  func requireTokens(of other: ModelSource, _ directory: String) throws {
    guard tokenizer.hasSameTokens(as: other.tokenizer), endOfSequence == other.endOfSequence else {
      throw Fault(
        .data, "the model has other tokens than the first", at: directory,
        hint: "models that are compared or combined share a tokenizer")
    }
  }

  /// - Throws: ``Fault`` if a model cannot read what another's tokenizer makes.
  func requireVocabulary(of other: ModelSource, _ directory: String) throws {
    guard configuration.vocabularySize >= other.tokenizer.vocabularySize else {
      throw Fault(
        .data,
        "the reference has \(configuration.vocabularySize) tokens, the policy's tokenizer \(other.tokenizer.vocabularySize)",
        at: directory, hint: "policy and reference must share their vocabulary")
    }
  }

  /// The weights of the model with its own head, in memory of this rank's own.
  func loadParameters() throws -> FloatBuffer { try loadParameters(over: LocalCommunicator()) }

  /// The weights of the model with its own head, which the ranks of a host share; nobody may change them.
  func loadParameters(over communicator: any Communicator) throws -> FloatBuffer {
    let layout = ParameterLayout(configuration, head: head)
    let weights = try FrozenWeights(count: layout.count, purpose: "weights", over: communicator)
    try weights.fill { try loadParameters(layout, into: $0) }
    return weights.buffer
  }

  /// A sample as a reward model reads it: ended, even where the limit of length cut it.
  func ended(_ sample: [Int32], promptLength: Int) -> [Int32] {
    var tokens = sample
    // A sample that fills the context loses its last token.
    if promptLength + tokens.count == configuration.contextLength { tokens.removeLast() }
    return tokens.last == endOfSequence ? tokens : tokens + [endOfSequence]
  }
}
