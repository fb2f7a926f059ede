import AlignmentCore

/// Samples of one prompt that a unit shall draw.
package struct SampleRequest: Sendable, Equatable {
  package var prompt: [Int32]
  /// What the prompt is in the random stream, for instance its place in a file.
  package var identity: Int
  /// Which of the prompt's samples.
  package var samples: Range<Int>

  package init(prompt: [Int32], identity: Int, samples: Range<Int>) {
    self.prompt = prompt
    self.identity = identity
    self.samples = samples
  }
}

/// Draws completions of prompts from a language model, all samples of a unit together.
///
/// The token at place t of sample k of a prompt is drawn with the uniform number that (seed, prompt, k) has at t, so who
/// draws it does not matter. A sample that ends leaves the batch; nothing takes its place.
package final class Sampler {
  /// Tells whether a sample ends with the token drawn last: its place among the samples of the unit, and its tokens.
  package typealias StopCheck = (_ sample: Int, _ ids: [Int32]) throws -> Bool

  private let decoder: BatchDecoder
  private let selector: TokenSelector
  private var running: [RunningSample] = []

  package var capacity: DecodingCapacity { decoder.capacity }

  /// Allocates all memory for units up to a capacity.
  package init(_ configuration: ModelConfiguration, capacity: DecodingCapacity) throws {
    decoder = try BatchDecoder(configuration, capacity: capacity)
    selector = try TokenSelector(vocabularySize: configuration.vocabularySize)
  }

  /// The samples of each request.
  ///
  /// - Parameters:
  ///   - isStopped: asked for each token that is no stop token; it may throw.
  ///   - step: told after each step how many tokens it drew and how many samples go on.
  /// - Throws: ``Fault`` of kind `nonFinite` if the logits are not finite; what `isStopped` throws.
  package func draw(
    _ requests: [SampleRequest], parameters: FloatView, _ settings: SamplingSettings, isStopped: StopCheck? = nil,
    step: (_ tokens: Int, _ running: Int) -> Void = { _, _ in }
  ) throws -> [[Sample]] {
    let context = decoder.configuration.contextLength
    precondition(
      requests.allSatisfy { !$0.prompt.isEmpty && $0.prompt.count < context }, "a prompt is empty or fills the context")
    running = requests.flatMap { request in
      request.samples.map { RunningSample(request, sample: $0, settings, context: context) }
    }
    let newTokens = DecodingCapacity.newTokens(
      decoder.configuration, promptLengths: requests.map(\.prompt.count), atMost: settings.maxNewTokens)
    decoder.begin(
      requests.map(\.prompt), samples: requests.map(\.samples.count), newTokens: newTokens, parameters: parameters)
    var rows = Array(running.indices)
    while !rows.isEmpty {
      let drawn = rows.count
      for (row, index) in rows.enumerated() {
        try extend(&running[index], index, by: decoder.logits(ofRow: row), settings, isStopped)
      }
      decoder.keepRows { !running[$0].hasEnded }
      rows.removeAll { running[$0].hasEnded }
      step(drawn, rows.count)
      guard !rows.isEmpty else { break }
      for index in rows {
        let ids = running[index].result.ids
        decoder.append(ids[ids.count - 1], place: ids.count - 1)
      }
      decoder.advance(parameters: parameters)
    }
    return collect(requests)
  }

  private func extend(
    _ sample: inout RunningSample, _ index: Int, by logits: FloatView, _ settings: SamplingSettings,
    _ isStopped: StopCheck?
  ) throws {
    let uniform = sample.stream.uniform(at: sample.result.ids.count)
    guard let choice = selector.choose(from: logits, seen: sample.seen, settings, uniform: uniform) else {
      throw Fault(
        .nonFinite, "the logits behind prompt \(sample.identity) are not finite",
        hint: "the model's weights hold NaN, infinity or values too large for Float32")
    }
    sample.add(choice, settings)
    if settings.stopTokens.contains(choice.token) {
      sample.result.isFinished = true
    } else if let isStopped {
      sample.result.isFinished = try isStopped(index, sample.result.ids)
    }
  }

  private func collect(_ requests: [SampleRequest]) -> [[Sample]] {
    var rest = running[...]
    return requests.map { request in
      defer { rest = rest.dropFirst(request.samples.count) }
      return rest.prefix(request.samples.count).map(\.result)
    }
  }
}

/// A sample while it grows.
private struct RunningSample {
  let identity: Int
  let stream: RandomStream
  let limit: Int
  var result = Sample()
  /// Distinct tokens of prompt and sample, for the repetition penalty.
  private(set) var seen: [Int32] = []

  init(_ request: SampleRequest, sample: Int, _ settings: SamplingSettings, context: Int) {
    identity = request.identity
    stream = RandomStream(seed: settings.seed, purpose: .sampling, request.identity, sample)
    limit = min(settings.maxNewTokens, context - request.prompt.count)
    result.ids.reserveCapacity(limit)
    guard settings.repetitionPenalty != 1 else { return }
    var known: Set<Int32> = []
    seen.reserveCapacity(request.prompt.count + limit)
    for token in request.prompt where known.insert(token).inserted { seen.append(token) }
  }

  var hasEnded: Bool { result.isFinished || result.ids.count >= limit }

  mutating func add(_ choice: TokenSelector.Choice, _ settings: SamplingSettings) {
    result.ids.append(choice.token)
    result.logProbability += choice.logProbability
    result.samplingLogProbability += choice.samplingLogProbability
    if settings.repetitionPenalty != 1, !seen.contains(choice.token) { seen.append(choice.token) }
  }
}
