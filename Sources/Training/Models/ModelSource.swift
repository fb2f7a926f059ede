import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Kernels
import Tokenization
import Transformer

#if canImport(Glibc)
  import Glibc
#endif

/// A model that can be loaded: its configuration, tokenizer and weights, from a directory or newly initialised.
package final class ModelSource {
  package let configuration: ModelConfiguration
  package let tokenizer: Tokenizer
  /// SHA-256 of `tokenizer.json`.
  package let tokenizerDigest: String
  /// SHA-256 over configuration and weights, computed when it is first asked for (1.7 GB/s); see ``agreed(over:)``.
  package private(set) lazy var digest = computedDigest()
  /// The id that ends a training completion.
  package let endOfSequence: Int32
  /// The head that the weights, or the adapter, come with: that of a language model, or the score of a reward model.
  package let head: ModelHead
  /// The ids that end a sample: those of config.json and of generation_config.json.
  package let stopTokens: Set<Int32>
  /// Files that belong to the model beside its weights, as (name, bytes), `config.json` first.
  let companions: [(name: String, bytes: [UInt8])]
  private let weights: Weights
  private let adapter: AdapterFiles?
  private let adapterDigest: String?
  /// Directory, or the key of the recipe.
  private let place: String
  /// The head of the weights without the adapter.
  private let ownHead: ModelHead

  private enum Weights {
    case files(ModelFiles)
    case random(seed: UInt64)
    /// Left where they are, for plans.
    case unread
  }

  /// Opens a model; weights are mapped but not yet read into memory.
  ///
  /// - Parameters:
  ///   - adapter: directory of a PEFT adapter that is added to the weights.
  ///   - readsWeights: whether there are weights to be loaded later; without them the digest is of the configuration alone.
  /// - Throws: ``Fault`` if anything is missing, malformed or does not fit together.
  package init(_ origin: ModelOrigin, adapter directory: String? = nil, readsWeights: Bool = true) throws {
    adapter = try directory.map { try AdapterFiles($0) }
    adapterDigest = try adapter?.digest()
    switch origin {
    case .directory(let directory):
      guard FileSystem.isDirectory(directory) else {
        throw Fault(
          .missingInput, "there is no model directory", at: directory,
          hint: "it must hold config.json, tokenizer.json and *.safetensors")
      }
      companions = try Self.companionFiles(of: directory)
      weights = readsWeights ? .files(try ModelFiles.open(directory: directory)) : .unread
    case .initialized(let shape, let seed):
      let json = shape.configuration(
        vocabularySize: ByteTokenizer.vocabularySize, endOfSequence: ByteTokenizer.endOfSequence)
      companions = [
        ("config.json", json.serialized(pretty: true)),
        ("tokenizer.json", ByteTokenizer.json.serialized(pretty: true)),
        ("tokenizer_config.json", Self.byteTokenizerConfiguration),
      ]
      weights = .random(seed: seed)
    }
    place = Self.place(of: origin)
    configuration = try ModelConfiguration(
      json: Self.parse(companions[0].bytes, "\(place)/config.json"), path: "\(place)/config.json")
    let tokenizerBytes = companions.first { $0.name == "tokenizer.json" }?.bytes ?? []
    tokenizer = try Tokenizer(json: tokenizerBytes, path: "\(place)/tokenizer.json")
    tokenizerDigest = SHA256.digest(of: tokenizerBytes).hex
    ownHead = try Self.head(Self.parse(companions[0].bytes, place), "\(place)/config.json")
    head = try adapter?.head(on: ownHead) ?? ownHead
    endOfSequence = try Self.endOfSequence(configuration, companions, tokenizer, place)
    stopTokens = try Self.generationStops(companions, place).union(configuration.endOfSequence + [endOfSequence])
    try checkVocabulary()
  }

  /// Reads the weights into an arena, or draws them.
  ///
  /// - Throws: ``Fault`` that names the tensors that are missing, unexpected or of the wrong shape.
  ///
  /// A head that the weights lack begins anew: a score head with small random weights, a value head with zeros.
  package func loadParameters(_ layout: ParameterLayout, into parameters: FloatView) throws {
    let outer = Watchdog.enter(.modelLoad)
    defer { Watchdog.enter(outer) }
    switch weights {
    case .files(let files):
      let reader = WeightReader(files: files, layout: layout, configuration: configuration, head: ownHead)
      try reader.read(into: parameters)
      initialize(layout, parameters, 0) { reader.isNew($0) }
      try reader.readValueHead(into: parameters)
    case .random(let seed): initialize(layout, parameters, seed) { _ in true }
    case .unread: preconditionFailure("a plan has no weights")
    }
    try adapter?.merge(layout, into: parameters)
  }

  /// Normal weights of standard deviation 0.02, smaller by √(2L) where a layer writes to the residual stream (Radford
  /// et al. 2019, "Language models are unsupervised multitask learners", §2.3); norm weights are 1, biases and value heads 0.
  private func initialize(
    _ layout: ParameterLayout, _ parameters: FloatView, _ seed: UInt64, where isNew: (TensorSpecification) -> Bool
  ) {
    for (index, tensor) in layout.tensors.enumerated() where isNew(tensor) {
      guard !tensor.name.hasPrefix(ParameterLayout.valueHead) else { continue }
      let stream = RandomStream(seed: seed, purpose: .initialization, index)
      let target = parameters[tensor.range]
      let residual = tensor.name.hasSuffix("o_proj.weight") || tensor.name.hasSuffix("down_proj.weight")
      let deviation = 0.02 / (residual ? Double(2 * configuration.layerCount).squareRoot() : 1)
      for i in 0..<target.count {
        target.base[i] =
          tensor.isMatrix ? Float(stream.normal(at: i) * deviation) : tensor.name.hasSuffix("bias") ? 0 : 1
      }
    }
  }

  private func checkVocabulary() throws {
    guard tokenizer.vocabularySize <= configuration.vocabularySize else {
      throw Fault(
        .data,
        "the tokenizer has \(tokenizer.vocabularySize) tokens but the model only \(configuration.vocabularySize)",
        at: place, hint: "tokenizer.json and config.json belong to different models")
    }
    guard endOfSequence < configuration.vocabularySize else {
      throw Fault(
        .data, "eos_token_id \(endOfSequence) is outside the vocabulary of \(configuration.vocabularySize)", at: place)
    }
  }
}

// MARK: - Identity

extension ModelSource {
  /// This model, if every host has the same; the first rank of each host hashes it for all ranks there.
  ///
  /// Every rank must call it.
  ///
  /// - Throws: ``Fault`` that names a host with other files.
  package func agreed(over communicator: any Communicator) throws -> ModelSource {
    let hint = "copy the same model to every host, or share its directory"
    digest = try communicator.agree(on: "model", at: place, .data, hint: hint) { digest }
    try communicator.agree(on: "tokenizer", at: place, .data, hint: hint) { companionDigest }
    return self
  }

  private func computedDigest() -> String {
    let own =
      switch weights {
      case .files(let files): files.digest()
      case .random(let seed): "random \(seed)"
      case .unread: ""
      }
    let model = SHA256.digest(of: companions[0].bytes + Array(own.utf8)).hex
    return adapterDigest.map { SHA256.digest(of: Array("\(model) \($0)".utf8)).hex } ?? model
  }

  /// Of the files beside configuration and weights.
  private var companionDigest: String {
    let hash = SHA256()
    for file in companions.dropFirst() {
      hash.update(field: file.name)
      hash.update(field: SHA256.digest(of: file.bytes).hex)
    }
    return hash.finish().hex
  }
}

// MARK: - Files of a directory

extension ModelSource {
  private static let optionalCompanions = [
    "tokenizer_config.json", "special_tokens_map.json", "generation_config.json", "chat_template.jinja",
    "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model",
  ]

  private static let byteTokenizerConfiguration = JSONValue.object(
    JSONObject([
      ("tokenizer_class", .string("PreTrainedTokenizerFast")),
      ("bos_token", .string(ByteTokenizer.endOfSequenceText)), ("eos_token", .string(ByteTokenizer.endOfSequenceText)),
    ])
  ).serialized(pretty: true)

  private static func place(of origin: ModelOrigin) -> String {
    if case .directory(let directory) = origin { return directory }
    return "model.initialize"
  }

  private static func companionFiles(of directory: String) throws -> [(name: String, bytes: [UInt8])] {
    let required = ["config.json", "tokenizer.json"]
    let present = optionalCompanions.filter { FileSystem.exists("\(directory)/\($0)") }
    return try (required + present).map { ($0, try FileSystem.readWhole("\(directory)/\($0)")) }
  }

  /// A sequence classifier with a single label is a reward model.
  private static func head(_ json: JSONValue, _ path: String) throws -> ModelHead {
    let names = json["architectures"]?.arrayValue?.compactMap(\.stringValue) ?? []
    guard let name = names.first(where: { $0.hasSuffix("ForSequenceClassification") }) else { return .languageModel }
    let labels = json["id2label"]?.objectValue?.members.count ?? json["num_labels"]?.intValue.map { Int($0) } ?? 2
    guard labels == 1 else {
      throw Fault(
        .data, "\(name) has \(labels) labels; a reward model has one", at: path,
        hint: "train it with num_labels=1, or use another model")
    }
    return .score
  }

  static func parse(_ bytes: [UInt8], _ path: String) throws -> JSONValue {
    do {
      return try JSONValue.parse(bytes)
    } catch {
      throw Fault(.data, "not valid JSON: \(error)", at: path)
    }
  }

  /// The first of: `eos_token_id` of config.json, of generation_config.json, `eos_token` of tokenizer_config.json.
  private static func endOfSequence(
    _ configuration: ModelConfiguration, _ companions: [(name: String, bytes: [UInt8])], _ tokenizer: Tokenizer,
    _ place: String
  ) throws -> Int32 {
    if let id = configuration.endOfSequence.first { return id }
    for (name, bytes) in companions where name == "generation_config.json" || name == "tokenizer_config.json" {
      let json = try parse(bytes, "\(place)/\(name)")
      let id = json["eos_token_id"].flatMap { $0.arrayValue?.first ?? $0 }?.intValue
      if let id, id >= 0, id < Int(Int32.max) { return Int32(id) }
      if let text = json["eos_token"].flatMap({ $0["content"] ?? $0 })?.byteString, let id = tokenizer.id(of: text) {
        return id
      }
    }
    throw Fault(
      .data, "no end-of-sequence token", at: place,
      hint: "set eos_token_id in config.json to the id that ends a completion")
  }
}

extension ModelSource {
  /// `eos_token_id` of generation_config.json: an id, a list of them, or none.
  private static func generationStops(
    _ companions: [(name: String, bytes: [UInt8])], _ place: String
  ) throws -> Set<Int32> {
    let name = "generation_config.json"
    guard let file = companions.first(where: { $0.name == name }) else { return [] }
    guard let value = try parse(file.bytes, "\(place)/\(name)")["eos_token_id"], value != .null else { return [] }
    return Set(
      try (value.arrayValue ?? [value]).map {
        guard let id = $0.intValue, let token = Int32(exactly: id), token >= 0 else {
          throw Fault(.data, "eos_token_id must be a token id or a list of them", at: "\(place)/\(name)")
        }
        return token
      })
  }
}

/// Copies the tensors of a checkpoint into the parameter arena.
private struct WeightReader {
  let files: ModelFiles
  let layout: ParameterLayout
  let configuration: ModelConfiguration
  /// The head that the files have.
  let head: ModelHead

  /// Whether a tensor belongs to a head that the files do not have.
  func isNew(_ tensor: TensorSpecification) -> Bool {
    tensor.belongsToScalarHead && files[tensor.name] == nil
  }

  /// Whether a tensor of the files belongs to a head that the layout does not have.
  private func isLeftOut(_ name: String) -> Bool {
    name == "lm_head.weight" && layout.isScoring && head == .languageModel
  }

  func read(into parameters: FloatView) throws {
    try checkNames()
    for tensor in layout.tensors {
      guard let (file, record) = files[tensor.name] else { continue }
      guard record.shape == tensor.shape else {
        throw Fault(
          .data, "tensor '\(tensor.name)' has shape \(record.shape), config.json asks for \(tensor.shape)",
          at: file.path)
      }
      let target = parameters[tensor.range]
      try file.copyFloats(of: record, into: UnsafeMutableBufferPointer(start: target.base, count: target.count))
    }
    try checkTiedHead(parameters)
  }

  /// A value head comes in a file of its own, as ``ModelExport`` writes it.
  func readValueHead(into parameters: FloatView) throws {
    let path = "\(files.directory)/\(ModelExport.valueHeadFile)"
    let tensors = layout.tensors.filter { $0.name.hasPrefix(ParameterLayout.valueHead) }
    guard !tensors.isEmpty, FileSystem.exists(path) else { return }
    let file = try SafetensorsFile(path: path)
    for tensor in tensors {
      guard let record = file[tensor.name], record.shape == tensor.shape else {
        throw Fault(.data, "has no '\(tensor.name)' of shape \(tensor.shape)", at: path, hint: "remove the file")
      }
      let target = parameters[tensor.range]
      try file.copyFloats(of: record, into: UnsafeMutableBufferPointer(start: target.base, count: target.count))
    }
  }

  private func checkNames() throws {
    let expected = Set(layout.tensors.map(\.name))
    let present = Set(files.names)
    let missing = layout.tensors.filter { !present.contains($0.name) && !isNew($0) }.map(\.name).sorted()
    guard missing.isEmpty else {
      throw Fault(
        .data, "tensors are missing: \(Self.some(missing))", at: files.directory,
        hint: "is config.json that of these weights?")
    }
    let unexpected = present.subtracting(expected)
      .filter { !$0.hasSuffix("rotary_emb.inv_freq") && $0 != tiedHead && !isLeftOut($0) }.sorted()
    guard unexpected.isEmpty else {
      throw Fault(
        .data, "tensors do not belong to a \(configuration.modelType) language model: \(Self.some(unexpected))",
        at: files.directory, hint: "is config.json that of these weights?")
    }
  }

  private var tiedHead: String? { configuration.tiesEmbeddings ? "lm_head.weight" : nil }

  /// A head that is stored although it is tied must equal the embedding.
  private func checkTiedHead(_ parameters: FloatView) throws {
    guard let tiedHead, !layout.isScoring, let (file, record) = files[tiedHead] else { return }
    let embedding = parameters[layout.tensors[0].range]
    let copy = try FloatBuffer(count: record.elementCount, purpose: "tied head")
    try file.copyFloats(of: record, into: UnsafeMutableBufferPointer(start: copy.view.base, count: copy.count))
    guard record.elementCount == embedding.count, memcmp(copy.view.base, embedding.base, embedding.count * 4) == 0
    else {
      throw Fault(
        .data, "lm_head.weight differs from the embedding although tie_word_embeddings is true", at: file.path,
        hint: "set tie_word_embeddings to false in config.json")
    }
  }

  private static func some(_ names: [String]) -> String {
    names.prefix(5).joined(separator: ", ") + (names.count > 5 ? " and \(names.count - 5) more" : "")
  }
}
