import AlignmentCore
import Kernels

#if canImport(Glibc)
  import Glibc
#endif

/// Draws completions from a language model, several sequences at a time, each token computed once.
///
/// The random number of sequence i at position t is keyed by (seed, i, t), so which rank draws a sequence does not matter.
package final class Sampler {
  package struct Settings: Sendable {
    package var seed: UInt64
    /// Divides the logits; 0 always takes the likeliest token.
    package var temperature: Double
    package var maxNewTokens: Int
    /// Tokens that end a sequence; they are not part of the result.
    package var stopTokens: Set<Int32>

    package init(seed: UInt64, temperature: Double, maxNewTokens: Int, stopTokens: Set<Int32>) {
      self.seed = seed
      self.temperature = temperature
      self.maxNewTokens = maxNewTokens
      self.stopTokens = stopTokens
    }
  }

  private let configuration: ModelConfiguration
  private let layout: ParameterLayout
  private let decoder: Decoder
  private let cache: KeyValueCache
  private let logits: FloatBuffer
  private let sequences: Int
  private let length: Int

  /// - Parameters:
  ///   - sequences: how many are decoded together.
  ///   - length: longest prompt and completion together, in tokens.
  package init(_ configuration: ModelConfiguration, sequences: Int, length: Int) throws {
    self.configuration = configuration
    self.sequences = sequences
    self.length = length
    layout = ParameterLayout(configuration)
    let capacity = UnitCapacity(tokens: sequences, predictions: sequences, sequence: length)
    let workspace = try ModelWorkspace(configuration, capacity: capacity, trains: false, budget: 0)
    decoder = try Decoder(configuration, layout: layout, workspace: workspace)
    cache = try KeyValueCache(configuration, sequences: sequences, length: length)
    logits = try FloatBuffer(count: sequences * configuration.vocabularySize, purpose: "logits")
  }

  /// A completion for each prompt, stop tokens left off.
  ///
  /// - Parameters:
  ///   - identities: what each prompt is in the random stream, for instance its place in a file.
  package func complete(
    _ prompts: [[Int32]], identities: [Int], parameters: FloatView, _ settings: Settings
  ) -> [[Int32]] {
    precondition(prompts.count <= sequences && prompts.count == identities.count, "\(prompts.count) prompts")
    precondition(
      prompts.allSatisfy { !$0.isEmpty && $0.count + settings.maxNewTokens <= length }, "a prompt is too long")
    guard settings.maxNewTokens > 0 else { return prompts.map { _ in [] } }
    var running = zip(prompts, identities).map { RunningSequence(tokens: $0, promptLength: $0.count, identity: $1) }
    var position = 0
    while running.contains(where: { !$0.isFinished }) {
      let tokens = running.map { $0.tokens[min(position, $0.tokens.count - 1)] }
      let unit = WorkUnit(tokens: tokens, positions: Array(repeating: Int32(position), count: tokens.count))
      let rows = nextLogits(unit, parameters)
      for index in running.indices { running[index].advance(past: position, rows.row(index), rows.columns, settings) }
      position += 1
    }
    return running.map { Array($0.tokens[$0.promptLength...]) }
  }

  /// (sequences, V) logits behind the newest token of each sequence.
  private func nextLogits(_ unit: WorkUnit, _ parameters: FloatView) -> Matrix {
    let hidden = decoder.forward(unit, parameters: parameters, cache: cache)
    let result = Matrix(logits.view, rows: unit.tokens.count, columns: configuration.vocabularySize)
    let head = Matrix(
      parameters[layout.head ?? layout.embedding], rows: configuration.vocabularySize, columns: configuration.hiddenSize
    )
    Product.multiply(hidden, head.transposed, into: result)
    return result
  }
}

/// One sequence while it grows.
private struct RunningSequence {
  var tokens: [Int32]
  let promptLength: Int
  let identity: Int
  var isFinished = false

  /// Draws the token behind `position`, unless that is still inside the prompt or the sequence has ended.
  mutating func advance(
    past position: Int, _ logits: UnsafeMutablePointer<Float>, _ count: Int, _ settings: Sampler.Settings
  ) {
    guard !isFinished, position + 1 == tokens.count else { return }
    let token = Int32(draw(logits, count, settings, position))
    isFinished = settings.stopTokens.contains(token)
    if !isFinished { tokens.append(token) }
    if tokens.count - promptLength >= settings.maxNewTokens { isFinished = true }
  }

  /// The inverse of the distribution function at a uniform number; the first maximum at temperature 0.
  private func draw(
    _ logits: UnsafeMutablePointer<Float>, _ count: Int, _ settings: Sampler.Settings, _ position: Int
  ) -> Int {
    var likeliest = 0
    for token in 1..<count where logits[token] > logits[likeliest] { likeliest = token }
    guard settings.temperature > 0 else { return likeliest }
    let weight = { (token: Int) in exp(Double(logits[token] - logits[likeliest]) / settings.temperature) }
    let total = (0..<count).reduce(0.0) { $0 + weight($1) }
    let stream = RandomStream(seed: settings.seed, purpose: .sampling, identity)
    var remaining = stream.uniform(at: position) * total
    for token in 0..<count {
      remaining -= weight(token)
      if remaining < 0 { return token }
    }
    return likeliest
  }
}
