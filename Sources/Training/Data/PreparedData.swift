import AlignmentCore
import Checkpoints
import Collectives
import Logging
import Objectives
import PreferenceData
import Tokenization
import Transformer

extension Tokenizer: TextEncoder {}

/// Tokenised data that every rank maps.
enum PreparedData {
  /// Tokenises files once per file system.
  ///
  /// - Parameters:
  ///   - weights: multiply the rows' own.
  static func open(
    _ files: [String], source: ModelSource, options: EncodingOptions, weights: RowWeights? = nil, cache: String,
    over communicator: any Communicator
  ) throws -> TokenizedDataset {
    try oncePerHost(files.joined(separator: ", "), over: communicator) {
      try TokenizedDataset.prepare(
        files: files, encoder: source.tokenizer, encoderDigest: source.tokenizerDigest, options: options,
        weights: weights, cacheDirectory: cache
      ).dataset
    }
  }

  /// Stores examples that are tokens already, such as samples, once per file system under the digest of their content.
  static func store(
    _ examples: [EncodedExample], cache: String, over communicator: any Communicator
  ) throws -> TokenizedDataset {
    let hash = SHA256()
    hash.update(field: "adalign stored tokens 1")
    for example in examples { hash.update(field: "\(example.prompt) \(example.completions.map(\.tokens))") }
    let key = hash.finish().hex
    let path = "\(cache)/tokens-\(key).bin"
    return try oncePerHost("samples", over: communicator) {
      if let stored = try? TokenizedDataset(path: path), stored.key == key { return stored }
      try FileSystem.makeDirectory(cache)
      try TokenizedDataset.write(examples, to: path, key: key)
      return try TokenizedDataset(path: path)
    }
  }

  /// Makes a dataset on rank 0 first, then on the first rank of every other host, which finds it made where they share
  /// the file system; further ranks of a host map the file of its first.
  private static func oncePerHost(
    _ place: String, over communicator: any Communicator, _ prepare: () throws -> TokenizedDataset
  ) throws -> TokenizedDataset {
    var own: TokenizedDataset?
    try communicator.doOnRankZero { own = try prepare() }
    try agree(at: place, over: communicator) {
      let made = try own ?? prepare()
      own = made
      return made.digest
    }
    let paths = try communicator.onEachHost { own?.path ?? "" }
    return try own ?? TokenizedDataset(path: paths.first { $0.host == Host.name }?.text ?? paths[0].text)
  }

  /// Refuses to go on where hosts see different data under the same names.
  static func agree(at place: String, over communicator: any Communicator, digest: () throws -> String) throws {
    try communicator.agree(
      on: "content", at: place, .data, hint: "copy the same data files to every host, or share their directory", digest)
  }
}

extension EncodingOptions {
  /// The options of a training run: what its recipe says, for what its objective needs.
  init(_ data: RunConfiguration.DataSettings, for groupKind: GroupKind, source: ModelSource) {
    self.init(contextLength: source.configuration.contextLength, endOfSequence: source.endOfSequence)
    maxLength = data.maxLength.map { min($0, contextLength) }
    if let asked = data.maxLength, asked > contextLength {
      log.notice("data.max_length \(asked) is more than the model's context: rows are cut to \(contextLength) tokens")
    }
    maxPromptLength = data.maxPromptLength
    keep = data.keep
    boundary = data.boundary
    onError = data.onError
    controls = data.controls
    switch groupKind {
    case .pair: selection = .pairs
    case .preferred: selection = .preferred
    case .labelled: selection = .labelled
    case .conditioned: selection = .conditioned
    case .scored: selection = .scored
    }
  }
}

extension WorkCost {
  /// Floating-point operations of a forward pass through a model, attention scores left out.
  package init(_ c: ModelConfiguration, head: ModelHead = .languageModel) {
    let attention = c.hiddenSize * (c.projectionWidth + c.queryWidth)
    let feedForward = 3 * c.hiddenSize * c.intermediateSize
    self.init(
      perToken: 2 * Double(c.layerCount * (attention + feedForward)),
      perPrediction: 2 * Double((head == .score ? 1 : c.vocabularySize) * c.hiddenSize))
  }
}

extension UnitCapacity {
  /// Room for any unit that is packed from these datasets.
  ///
  /// - Parameters:
  ///   - mixesPrompts: whether completions are also put behind the prompts of other examples, within the context.
  package init(
    unitTokens: Int, datasets: [TokenizedDataset], mixesPrompts: Bool = false, contextLength: Int = .max
  ) {
    let mixed = mixesPrompts ? datasets.map { min(contextLength, $0.longestMixedSequence) }.max() ?? 0 : 0
    let longestGroup = max(mixed, datasets.map(\.maximumGroupTokens).max() ?? 0)
    let longestSequence = max(mixed, datasets.map(\.maximumSequenceTokens).max() ?? 0)
    let tokens = max(unitTokens, longestGroup)
    // A group with a prompt of one token and n completions of one token has n predictions but a single input.
    let mostCompletions =
      datasets.flatMap { data in (0..<data.count).map { data.example($0).completionCount } }.max() ?? 1
    self.init(tokens: tokens, predictions: tokens * mostCompletions, sequence: longestSequence)
  }
}

extension TokenizedDataset {
  /// Tokens of the longest prompt and the longest completion together.
  fileprivate var longestMixedSequence: Int {
    var (prompt, completion) = (0, 0)
    for index in 0..<count {
      let record = example(index)
      prompt = max(prompt, record.promptLength)
      for offset in 0..<record.completionCount { completion = max(completion, completionLength(index, offset)) }
    }
    return prompt + completion
  }
}
