import AlignmentCore
import Collectives
import JSON
import Tokenization
import Transformer

/// Texts that a model writes behind prompts, drawn by all ranks; the same on any number of them.
package struct Continuations {
  /// Sequences that a rank decodes together.
  private static let batch = 64

  private let source: ModelSource
  private let communicator: any Communicator

  package init(source: ModelSource, over communicator: any Communicator) {
    self.source = source
    self.communicator = communicator
  }

  /// One text for each prompt, in order, on every rank.
  package func draw(
    _ prompts: [String], parameters: FloatView, temperature: Double, maxNewTokens: Int, seed: UInt64
  ) throws -> [String] {
    let encoded = try prompts.map { try source.tokenizer.encode(Array($0.utf8), addSpecialTokens: true) }
    let longest = encoded.map(\.count).max() ?? 0
    guard longest > 0, longest + maxNewTokens <= source.configuration.contextLength else {
      throw Fault(
        .data,
        "a prompt of \(longest) tokens and \(maxNewTokens) new ones exceed the context of \(source.configuration.contextLength)",
        hint: "shorten the prompts or draw fewer tokens")
    }
    let sampler = try Sampler(source.configuration, sequences: Self.batch, length: longest + maxNewTokens)
    let settings = Sampler.Settings(
      seed: seed, temperature: temperature, maxNewTokens: maxNewTokens, stopTokens: [source.endOfSequence])
    var own: [JSONValue] = []
    for start in stride(from: communicator.rank * Self.batch, to: prompts.count, by: communicator.size * Self.batch) {
      let range = start..<min(start + Self.batch, prompts.count)
      let ids = sampler.complete(
        Array(encoded[range]), identities: Array(range), parameters: parameters, settings)
      for completion in ids {
        own.append(.string(ByteString(try source.tokenizer.decode(completion, skipSpecialTokens: true))))
      }
    }
    return try merge(own, count: prompts.count)
  }

  /// Puts the ranks' texts back into the order of the prompts.
  private func merge(_ own: [JSONValue], count: Int) throws -> [String] {
    var texts = try communicator.allGather(JSONValue.array(own).serialized()).map { bytes in
      try ModelSource.parse(bytes, "samples").arrayValue?.compactMap(\.stringValue)[...] ?? []
    }
    return (0..<count).map { index in texts[index / Self.batch % communicator.size].popFirst() ?? "" }
  }
}
