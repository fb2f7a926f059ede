import AlignmentCore
import Collectives
import Tokenization
import Transformer

/// Texts that a model writes behind prompts, drawn by all ranks; the same on any number of them.
package struct Continuations {
  /// What was drawn behind a prompt.
  package struct Continuation: Sendable {
    package let sample: Sample
    /// Its text in UTF-8: without a stop token and other special tokens, and cut before a stop string.
    package let text: [UInt8]
  }

  private let source: ModelSource
  private let stops: StopStrings?
  private let pass: SamplingPass
  private let communicator: any Communicator

  package init(
    source: ModelSource, stopStrings: [String] = [], limits: SamplingLimits = SamplingLimits(),
    over communicator: any Communicator
  ) {
    self.source = source
    self.communicator = communicator
    stops = stopStrings.isEmpty ? nil : StopStrings(stopStrings, tokenizer: source.tokenizer)
    pass = SamplingPass(source.configuration, limits: limits, over: communicator)
  }

  /// The ids of a prompt, with what the tokenizer puts in front of a text.
  ///
  /// - Parameters:
  ///   - place: of the prompt, for messages.
  /// - Throws: ``Fault`` if there are none, or no room for another.
  package func encode(_ prompt: [UInt8], at place: String) throws -> [Int32] {
    let ids = try source.tokenizer.encode(prompt, addSpecialTokens: true)
    guard !ids.isEmpty else {
      throw Fault(
        .data, "the prompt has no tokens", at: place,
        hint: "this tokenizer puts none in front of a text, so a prompt needs at least one character")
    }
    let context = source.configuration.contextLength
    guard ids.count < context else {
      throw Fault(
        .data, "the prompt of \(ids.count) tokens leaves no room in the context of \(context)", at: place,
        hint: "shorten the prompt or use a model with a longer context")
    }
    return ids
  }

  /// What is drawn behind each prompt, in their order, on every rank; the model's own stop tokens end a sample too.
  package func draw(
    _ prompts: [[Int32]], parameters: FloatView, _ settings: SamplingSettings,
    observer: SamplingPass.Observer? = nil
  ) throws -> [[Continuation]] {
    var settings = settings
    settings.stopTokens.formUnion(source.stopTokens)
    let samples = try pass.draw(prompts, parameters: parameters, settings, stops: stops, observer: observer)
    return try samples.map { try $0.map { Continuation(sample: $0, text: try text(of: $0, settings.stopTokens)) } }
  }

  private func text(of sample: Sample, _ stopTokens: Set<Int32>) throws -> [UInt8] {
    var ids = sample.ids
    if let last = ids.last, stopTokens.contains(last) { ids.removeLast() }
    let text = try source.tokenizer.decode(ids, skipSpecialTokens: true)
    return stops?.firstStart(in: text).map { Array(text[..<$0]) } ?? text
  }
}
