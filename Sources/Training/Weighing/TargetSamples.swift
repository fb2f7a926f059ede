import AlignmentCore
import Checkpoints
import JSON
import PreferenceData

/// What the policy says to prompts: the target domain.
struct TargetSamples {
  /// Samples of a prompt.
  struct Group: Equatable {
    let prompt: [UInt8]
    var texts: [[UInt8]] = []
    /// Whether each ended by itself, and not because it was as long as allowed.
    var finished: [Bool] = []
  }

  private(set) var groups: [Group]
  /// Whether temperature or truncation changed the distribution that they were drawn from; nil where that is not known.
  private(set) var isTransformed: Bool?

  init(_ groups: [Group], isTransformed: Bool? = false) {
    self.groups = groups
    self.isTransformed = isTransformed
  }

  var count: Int { groups.reduce(0) { $0 + $1.texts.count } }
  var unfinished: Int { groups.reduce(0) { $0 + $1.finished.count { !$0 } } }

  /// Digest of prompts and samples; equal samples have equal digests, whether they were drawn now or read.
  var digest: String {
    let hash = SHA256()
    for line in lines { hash.update(line) }
    return hash.finish().hex
  }

  /// The samples as rows that ``init(file:of:)`` reads.
  var lines: [[UInt8]] {
    groups.map { group in
      let row = JSONObject([
        ("prompt", .string(ByteString(group.prompt))),
        ("completions", .array(group.texts.map { .string(ByteString($0)) })),
        ("finished", .array(group.finished.map(JSONValue.bool))),
      ])
      return JSONValue.object(row).serialized() + [UInt8(ascii: "\n")]
    }
  }

  /// The samples as a model reads them, one example for each prompt.
  ///
  /// Texts are tokenised as those of the data are, so that how a tokenizer splits a text tells no domains apart.
  ///
  /// - Parameters:
  ///   - endsAll: whether also unfinished samples are ended, as reward models want them.
  func encoded(for source: ModelSource, _ encoding: ResponseEncoding, endsAll: Bool) throws -> [EncodedExample] {
    var options = encoding.options(for: source)
    // An unfinished sample that fills the context shall not be cut for the end that it will not have.
    if !endsAll { options.contextLength += 1 }
    // The text of a sample may come back as more tokens than were drawn, and more than the context has.
    options.maxLength = options.maxLength ?? options.contextLength
    let encoder = try ExampleEncoder(encoder: source.tokenizer, options: options)
    return try groups.enumerated().flatMap { index, group in
      let row = PreferenceRow(prompt: group.prompt, completions: group.texts.map { .init(text: $0, role: .sample) })
      var examples = try encoder.encode(row, at: "samples of prompt \(index)")
      for (offset, isFinished) in group.finished.enumerated() where !endsAll {
        let tokens = examples[0].completions[offset].tokens
        let isTooLong = examples[0].prompt.count + tokens.count > source.configuration.contextLength
        if tokens.count > 1, isTooLong || !isFinished && tokens.last == source.endOfSequence {
          examples[0].completions[offset].tokens.removeLast()
        }
      }
      return examples
    }
  }
}

// MARK: - From a file

extension TargetSamples {
  /// Reads rows of `prompt` with `completion` or `completions` and, if known, `finished`, or what `adalign sample` wrote for
  /// the data as its prompts. Samples of equal prompts are put together, in the order of the prompts' first rows.
  ///
  /// - Throws: ``Fault`` that names the line.
  init(file path: String, of rows: WeighedRows) throws {
    let reader = try RowReader(path: path)
    var (groups, places) = ([Group](), [[UInt8]: Int]())
    var isTransformed: Bool?
    while let line = try reader.next() {
      let row = SampleRow(json: try ModelSource.parse(line.bytes.get(), "\(path):\(line.line)"), "\(path):\(line.line)")
      let prompt = try row.prompt(of: rows)
      let place = places[prompt] ?? groups.count
      if place == groups.count {
        places[prompt] = place
        groups.append(Group(prompt: prompt))
      }
      for sample in try row.samples() {
        groups[place].texts.append(sample.text)
        groups[place].finished.append(sample.isFinished)
        if let own = sample.isTransformed { isTransformed = (isTransformed ?? false) || own }
      }
    }
    guard groups.contains(where: { !$0.texts.isEmpty }) else {
      throw Fault(
        .data, "there are no samples", at: path, hint: "rows look like {\"prompt\", \"completions\": [\"…\"]}")
    }
    self.init(groups.filter { !$0.texts.isEmpty }, isTransformed: isTransformed)
  }
}

/// A row of a file of samples.
private struct SampleRow {
  private let json: JSONValue
  private let place: String

  init(json: JSONValue, _ place: String) {
    self.json = json
    self.place = place
  }

  /// The row's own prompt, or that of the row of the data that it counts.
  func prompt(of rows: WeighedRows) throws -> [UInt8] {
    if let prompt = json["prompt"]?.byteString { return prompt.bytes }
    guard let index = json["index"]?.intValue else {
      throw fault("the row has neither a string \"prompt\" nor an \"index\"")
    }
    guard rows.promptOfRow.indices.contains(index) else {
      throw Fault(
        .data, "index \(index) is beyond the \(rows.promptOfRow.count) rows of the data", at: place,
        hint: "sample with the data as prompts, or give rows with \"prompt\"")
    }
    return rows.prompts[rows.promptOfRow[index]]
  }

  func samples() throws -> [(text: [UInt8], isFinished: Bool, isTransformed: Bool?)] {
    if let samples = json["samples"]?.arrayValue { return try samples.map(drawn) }
    let texts = json["completions"]?.arrayValue ?? json["completion"].map { [$0] } ?? []
    let finished = json["finished"].map { $0.arrayValue ?? [$0] } ?? texts.map { _ in .bool(true) }
    guard !texts.isEmpty, finished.count == texts.count else {
      throw fault("the row has no samples, or not one \"finished\" for each")
    }
    return try zip(texts, finished).map { text, finished in
      guard let text = text.byteString, let finished = finished.boolValue else {
        throw fault("a sample is no string, or its \"finished\" neither true nor false")
      }
      return (text.bytes, finished, nil)
    }
  }

  /// What `adalign sample` says of a sample.
  private func drawn(_ sample: JSONValue) throws -> (text: [UInt8], isFinished: Bool, isTransformed: Bool?) {
    guard let text = sample["text"]?.byteString else { throw fault("a sample has no string \"text\"") }
    let logps = (sample["logp"]?.doubleValue, sample["logp_sampling"]?.doubleValue)
    // Two ways to compute the same: alike but for rounding.
    let isTransformed = logps.0.flatMap { plain in logps.1.map { abs($0 - plain) > 1e-3 * (1 + abs(plain)) } }
    return (text.bytes, sample["finished"]?.boolValue ?? true, isTransformed)
  }

  private func fault(_ what: String) -> Fault {
    Fault(.data, what, at: place, hint: "rows look like {\"prompt\": \"…\", \"completions\": [\"…\"]}")
  }
}
