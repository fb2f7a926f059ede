import AlignmentCore
import Collectives
import PreferenceData
import Transformer

/// How a model fares on a file of held-out preference pairs, and what it says to their prompts.
package struct HeldOutEvaluation {
  /// The findings, the same on every rank.
  package struct Result: Sendable {
    /// Negative log-likelihood per token of the chosen responses, in nats.
    package let loss: Double
    /// Share of pairs whose chosen response is the likelier one.
    package let accuracy: Double
    /// Prompts of the pairs and a sampled response to each.
    package let samples: [(prompt: String, response: String)]
  }

  private static let unitTokens = 2048
  private static let maxNewTokens = 64
  private let data: String
  private let communicator: any Communicator

  package init(data: String, over communicator: any Communicator) {
    self.data = data
    self.communicator = communicator
  }

  /// Scores and samples on all ranks.
  package func run(model directory: String, temperature: Double, seed: UInt64) throws -> Result {
    let source = try ModelSource(.directory(directory)).agreed(over: communicator)
    var options = EncodingOptions(
      contextLength: source.configuration.contextLength, endOfSequence: source.endOfSequence)
    options.selection = .pairs
    let dataset = try PreparedData.open(
      [data], source: source, options: options, cache: CacheDirectory.byDefault, over: communicator)
    let pass = try ScoringPass(source, dataset: dataset, unitTokens: Self.unitTokens, over: communicator)
    let sums = try pass.completionOutputs()
    let prompts = try PromptFile.read(data)
    let continuations = Continuations(source: source, over: communicator)
    var settings = SamplingSettings(seed: seed, maxNewTokens: Self.maxNewTokens)
    settings.temperature = temperature
    let drawn = try continuations.draw(
      prompts.map { try continuations.encode($0.text, at: $0.place) }, parameters: pass.parameters.view, settings)
    return Result(
      loss: loss(sums, dataset), accuracy: accuracy(sums, dataset),
      samples: zip(prompts, drawn).map { prompt, responses in
        (String(decoding: prompt.text, as: UTF8.self), String(decoding: responses[0].text, as: UTF8.self))
      })
  }

  private func loss(_ sums: [Double], _ dataset: TokenizedDataset) -> Double {
    var (total, tokens) = (0.0, 0)
    for index in 0..<dataset.count {
      let record = dataset.example(index)
      total -= sums[record.firstCompletion]
      tokens += dataset.completion(0, of: record).length
    }
    return total / Double(tokens)
  }

  private func accuracy(_ sums: [Double], _ dataset: TokenizedDataset) -> Double {
    let right = (0..<dataset.count).filter { index in
      let first = dataset.example(index).firstCompletion
      return sums[first] > sums[first + 1]
    }
    return Double(right.count) / Double(dataset.count)
  }
}
