import AlignmentCore
import Checkpoints
import Collectives
import JSON
import PreferenceData
import Transformer

/// A prompt with responses of the policy.
struct PromptResponses: Sendable {
  struct Response: Sendable {
    var text: String
    /// Under the distribution that it was drawn from, in nats.
    var sourceLogp: Double
    /// Tokens, the one that ended it included.
    var tokens: Int
    var isFinished: Bool
  }

  var prompt: String
  var responses: [Response]
}

/// Draws the policy's responses to the prompts of a round.
struct SampleStage {
  let settings: AdaptationConfiguration.SampleSettings
  /// How long prompts are cut, and what is done with those that do not fit.
  let data: RunConfiguration.DataSettings
  let prompts: [String]
  let communicator: any Communicator

  /// Writes one row `{prompt, completions, …}` for each prompt that got a response.
  ///
  /// A response that cannot be learned from is left out: one of no text, and one whose text exceeds the context. From its
  /// text, a response may come back as more tokens than were drawn.
  func write(policy directory: String, seed: UInt64, to path: String) throws {
    let drawn = try draw(policy: directory, seed: seed)
    try communicator.doOnRankZero {
      try AtomicFile.write(path) { file in
        for row in drawn where !row.responses.isEmpty { try file.append(row.line) }
      }
    }
  }

  func draw(policy directory: String, seed: UInt64) throws -> [PromptResponses] {
    let source = try ModelSource(.directory(directory)).agreed(over: communicator)
    try source.requireLanguageModel(directory, for: "sampling")
    let continuations = Continuations(
      source: source, stopStrings: settings.stops, limits: SamplingLimits(sequences: settings.unitSequences),
      over: communicator)
    let reader = PromptReader(source: source, data: data)
    let texts = try reader.fitting(prompts)
    var sampling = settings.sampling
    sampling.seed = seed
    let parameters = try source.loadParameters(over: communicator)
    let results = try continuations.draw(texts.map(\.tokens), parameters: parameters.view, sampling)
    return try zip(texts, results).map { prompt, drawn in
      let row = PromptResponses(
        prompt: prompt.text,
        responses: drawn.map {
          PromptResponses.Response(
            text: String(decoding: $0.text, as: UTF8.self), sourceLogp: $0.sample.samplingLogProbability,
            tokens: $0.sample.ids.count, isFinished: $0.sample.isFinished)
        }.filter { !$0.text.isEmpty })
      return data.maxLength == nil ? try fitting(row, into: source) : row
    }
  }

  private func fitting(_ row: PromptResponses, into source: ModelSource) throws -> PromptResponses {
    guard !row.responses.isEmpty else { return row }
    var options = ResponseEncoding(boundary: data.boundary).options(for: source)
    options.contextLength = .max
    let completions = row.responses.map { PreferenceRow.Completion(text: Array($0.text.utf8), role: .sample) }
    let example = try ExampleEncoder(encoder: source.tokenizer, options: options).encode(
      PreferenceRow(prompt: Array(row.prompt.utf8), completions: completions), at: "samples")[0]
    var fitting = row
    fitting.responses = zip(row.responses, example.completions).filter { _, completion in
      example.prompt.count + completion.tokens.count <= source.configuration.contextLength
    }.map(\.0)
    return fitting
  }
}

extension PromptResponses {
  /// The row of a file of samples.
  fileprivate var line: [UInt8] {
    let row = JSONObject([
      ("prompt", .string(ByteString(prompt))),
      ("completions", .array(responses.map { .string(ByteString($0.text)) })),
      ("source_logps", .array(responses.map { .double($0.sourceLogp) })),
      ("tokens", .array(responses.map { .integer(Int64($0.tokens)) })),
      ("finished", .array(responses.map { .bool($0.isFinished) })),
    ])
    return JSONValue.object(row).serialized() + [UInt8(ascii: "\n")]
  }

  /// Reads a file of samples, or any file of rows `{prompt, completions}`.
  static func read(_ path: String) throws -> [PromptResponses] {
    let reader = try RowReader(path: path)
    var rows: [PromptResponses] = []
    while let row = try reader.next() {
      rows.append(try PromptResponses(row.bytes.get(), at: "\(path):\(row.line)"))
    }
    guard !rows.isEmpty else {
      throw Fault(
        .data, "the file has no rows", at: path, hint: "rows look like {\"prompt\": \"…\", \"completions\": [\"…\"]}")
    }
    return rows
  }

  private init(_ bytes: [UInt8], at place: String) throws {
    let row = try PreferenceRow(json: bytes, at: place)
    let json = try ModelSource.parse(bytes, place)
    let logps = json["source_logps"]?.arrayValue?.map(\.doubleValue)
    let tokens = json["tokens"]?.arrayValue?.map(\.intValue)
    let finished = json["finished"]?.arrayValue?.map(\.boolValue)
    prompt = String(decoding: row.prompt, as: UTF8.self)
    responses = row.completions.enumerated().map { index, completion in
      Response(
        text: String(decoding: completion.text, as: UTF8.self),
        sourceLogp: Self.entry(logps, index) ?? completion.sourceLogp ?? 0,
        tokens: Self.entry(tokens, index) ?? completion.text.count, isFinished: Self.entry(finished, index) ?? true)
    }
  }

  private static func entry<Value>(_ list: [Value?]?, _ index: Int) -> Value? {
    guard let list, index < list.count else { return nil }
    return list[index]
  }
}
