import AlignmentCore
import Checkpoints
import JSON
import Transformer

#if canImport(Glibc)
  import Glibc
#endif

/// What a recipe's `lora` section asks for (Hu et al. 2021, arXiv 2106.09685).
package struct LoRASettings: Equatable {
  package var rank: Int
  package var alpha: Double
  /// Names of modules, or parts of them behind a dot; empty is every linear layer.
  package var targets: [String]
  /// Whether the scale is α/√r instead of α/r (Kalajdzievski 2023, arXiv 2312.03732).
  package var isRankStabilized: Bool
  /// Directory of an adapter to go on from.
  package var start: String?

  init(_ section: RecipeSection) throws {
    rank = try section.integer("rank", default: 8, in: 1...1 << 16)
    alpha = try section.number("alpha", default: Double(2 * rank), in: 1e-6...1e6)
    targets = try section.strings("target_modules")
    if targets == ["all-linear"] { targets = [] }
    isRankStabilized = try section.boolean("use_rslora", default: false)
    start = try section.optionalString("start")
    try section.finish()
  }

  var scale: Double { alpha / divisor(rank: rank) }

  /// What α is divided by.
  func divisor(rank: Int) -> Double { isRankStabilized ? Double(rank).squareRoot() : Double(rank) }

  /// The adapters of a model that the settings describe.
  ///
  /// - Throws: ``Fault`` for a target that no linear layer of the model has.
  package func specifications(for layout: ParameterLayout) throws -> [AdapterSpecification] {
    let linear = layout.tensors.filter(\.isLinear)
    for target in targets where !linear.contains(where: { $0.isNamed(target) }) {
      let known = Set(linear.map { String($0.module.split(separator: ".").last ?? "") }).sorted()
      throw Fault(
        .configuration, "no linear layer is called \"\(target)\"", at: "lora.target_modules",
        hint: "the model has \(known.joined(separator: ", "))")
    }
    return linear.filter { tensor in targets.isEmpty || targets.contains(where: tensor.isNamed) }
      .map { AdapterSpecification(tensor: $0.name, rank: rank, scale: scale) }
  }
}

extension TensorSpecification {
  /// The module that owns the tensor.
  var module: String { name.hasSuffix(".weight") ? String(name.dropLast(7)) : name }

  /// Whether it is the matrix of a linear layer inside the decoder.
  var isLinear: Bool { isMatrix && name.hasSuffix("_proj.weight") }

  /// PEFT's rule: a name matches the whole module path or its end behind a dot.
  func isNamed(_ target: String) -> Bool { module == target || module.hasSuffix(".\(target)") }
}

/// A PEFT adapter directory: `adapter_config.json` and `adapter_model.safetensors`.
package struct AdapterFiles {
  package static let prefix = "base_model.model."
  let directory: String
  /// Adapters by the tensor that they are added to.
  let specifications: [AdapterSpecification]
  /// Names of tensors that are stored whole.
  let whole: [String]
  private let configuration: AdapterConfiguration
  private let file: SafetensorsFile

  /// Opens an adapter; its tensors are mapped.
  ///
  /// - Throws: ``Fault`` for a kind of adapter that is not plain LoRA, or files that do not fit together.
  package init(_ directory: String) throws {
    self.directory = directory
    let path = "\(directory)/adapter_config.json"
    guard FileSystem.exists(path) else {
      throw Fault(
        .missingInput, "there is no adapter_config.json", at: directory, hint: "name the directory of a PEFT adapter")
    }
    configuration = try AdapterConfiguration(ModelSource.parse(try FileSystem.readWhole(path), path), path: path)
    file = try SafetensorsFile(path: "\(directory)/adapter_model.safetensors")
    var (specifications, whole) = ([AdapterSpecification](), [String]())
    for record in file.tensors.sorted(by: { $0.name < $1.name }) {
      let inner = try Self.innerName(record.name, file.path)
      if inner.hasSuffix(Self.aSuffix) {
        let module = String(inner.dropLast(Self.aSuffix.count))
        let rank = try Self.rank(of: module, file)
        specifications.append(
          AdapterSpecification(
            tensor: "\(module).weight", rank: rank, scale: try configuration.scale(module: module, rank: rank)))
      } else if inner.hasSuffix(Self.bSuffix) {
        _ = try Self.rank(of: String(inner.dropLast(Self.bSuffix.count)), file)
      } else {
        whole.append(inner)
      }
    }
    (self.specifications, self.whole) = (specifications, whole)
  }

  private static let aSuffix = ".lora_A.weight"
  private static let bSuffix = ".lora_B.weight"

  /// The head of a model with the adapter: a classifier's makes a language model a reward model.
  ///
  /// - Throws: ``Fault`` if nobody has the head.
  func head(on base: ModelHead) throws -> ModelHead {
    let hasScore = whole.contains(ParameterLayout.scoreHead)
    guard configuration.isClassifier, !hasScore, base != .score else { return hasScore ? .score : base }
    throw Fault(
      .data, "the adapter of a reward model has no \(ParameterLayout.scoreHead)", at: directory,
      hint: "save it with modules_to_save=[\"score\"], or name the reward model that it was trained on")
  }

  /// The name of a tensor in the model, or of an adapter's part.
  private static func innerName(_ name: String, _ path: String) throws -> String {
    guard name.hasPrefix(prefix) else {
      throw Fault(
        .data, "tensor '\(name)' does not begin with \(prefix)", at: path, hint: "save the adapter with PEFT")
    }
    let variants = [
      ("lora_embedding_", "an adapter of the embedding"), (".base_layer.", "an adapter of the embedding"),
      ("lora_magnitude_vector", "DoRA"),
    ]
    if let variant = variants.first(where: { name.contains($0.0) }) {
      throw Fault(
        .data, "tensor '\(name)' is part of \(variant.1), which is not supported", at: path,
        hint: "use a plain LoRA adapter of linear layers")
    }
    return String(name.dropFirst(prefix.count))
  }

  /// Rows of a module's A (r, in), which must be the columns of its B (out, r).
  private static func rank(of module: String, _ file: SafetensorsFile) throws -> Int {
    let shapes = [aSuffix, bSuffix].map { file["\(prefix)\(module)\($0)"]?.shape ?? [] }
    guard shapes[0].count == 2, shapes[1].count == 2, shapes[0][0] == shapes[1][1], shapes[0][0] > 0 else {
      throw Fault(
        .data, "lora_A and lora_B of \(module) have shapes \(shapes[0]) and \(shapes[1])", at: file.path,
        hint: "they must be (r, in) and (out, r); save the adapter again")
    }
    return shapes[0][0]
  }

  /// SHA-256 of both files.
  func digest() throws -> String {
    let hash = SHA256()
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
      hash.update(field: try SHA256.digest(ofFile: "\(directory)/\(name)").hex)
    }
    return hash.finish().hex
  }

  /// What is trained to go on with the adapter.
  func trained(_ layout: ParameterLayout) throws -> TrainedParameters {
    try check(layout)
    let heads = layout.tensors.filter(\.belongsToScalarHead).map(\.name)
    return TrainedParameters(layout, adapters: specifications, whole: Set(whole + heads))
  }

  /// Reads the adapter's tensors into the arena of trained parameters.
  func load(_ trained: TrainedParameters, into values: FloatView) throws {
    for tensor in trained.tensors {
      let name = Self.fileName(tensor.name)
      guard let record = file[name] else { continue }
      guard record.shape == tensor.shape else {
        throw Fault(
          .data, "tensor '\(name)' has shape \(record.shape), the model asks for \(tensor.shape)", at: file.path,
          hint: "is the adapter of this model?")
      }
      let target = values[tensor.range]
      try file.copyFloats(of: record, into: UnsafeMutableBufferPointer(start: target.base, count: target.count))
    }
  }

  /// Adds the adapter to a model's weights.
  package func merge(_ layout: ParameterLayout, into weights: FloatView) throws {
    let trained = try trained(layout)
    let values = try FloatBuffer(count: trained.count, purpose: "adapter")
    for tensor in trained.tensors where layout.tensors.contains(where: { $0.name == tensor.name }) {
      // Whole tensors that the file lacks stay as they are.
      if let own = layout.tensors.first(where: { $0.name == tensor.name }) {
        for i in 0..<own.range.count { values.view[tensor.range].base[i] = weights[own.range].base[i] }
      }
    }
    try load(trained, into: values.view)
    trained.merge(values.view, base: weights, into: weights)
  }

  private func check(_ layout: ParameterLayout) throws {
    let names = Set(layout.tensors.map(\.name))
    let strange = (specifications.map(\.tensor) + whole).filter { !names.contains($0) }
    guard let first = strange.first else { return }
    throw Fault(
      .data, "the adapter has '\(first)', and the model does not", at: directory, hint: "is the adapter of this model?")
  }

  /// The name that PEFT gives a trained tensor.
  static func fileName(_ name: String) -> String {
    for letter in ["A", "B"] where name.hasSuffix(".weight.lora_\(letter)") {
      return "\(prefix)\(name.dropLast(".weight.lora_A".count)).lora_\(letter).weight"
    }
    return prefix + name
  }
}

/// Writes trained adapters as a PEFT directory.
struct AdapterExport {
  let settings: LoRASettings
  let trained: TrainedParameters
  let head: ModelHead
  /// Directory of the base model, as PEFT notes it.
  let base: String

  /// Makes the directory appear complete or not at all.
  func write(_ values: FloatView, to directory: String) throws {
    let staging = "\(directory).tmp"
    try FileSystem.removeTree(staging)
    try FileSystem.makeDirectory(staging)
    let tensors = trained.tensors.filter { !$0.name.hasPrefix(ParameterLayout.valueHead) }.map { tensor in
      let view = values[tensor.range]
      return TensorSource(
        name: AdapterFiles.fileName(tensor.name), shape: tensor.shape,
        values: UnsafeBufferPointer(start: view.base, count: view.count))
    }
    try SafetensorsWriter.write(path: "\(staging)/adapter_model.safetensors", tensors: tensors)
    try AtomicFile.write("\(staging)/adapter_config.json", configuration.serialized(pretty: true))
    try FileSystem.syncDirectory(staging)
    try FileSystem.removeTree(directory)
    try FileSystem.move(staging, to: directory)
    try FileSystem.syncDirectory(FileSystem.parent(of: directory))
  }

  /// r and α as PEFT reads them. An adapter that was gone on with keeps its own, which the recipe need not repeat.
  private var ranks: (rank: Int, alpha: Double, isRankStabilized: Bool) {
    guard settings.start != nil, let first = trained.adapters.first else {
      return (settings.rank, settings.alpha, settings.isRankStabilized)
    }
    return (first.rank, Double(first.scale) * Double(first.rank), false)
  }

  /// What adapters of other ranks or scales than the first have of their own.
  private func pattern(_ value: (LowRankAdapter) -> JSONValue) -> JSONValue {
    let different = trained.adapters.filter {
      $0.rank != ranks.rank || settings.start != nil && $0.scale != trained.adapters[0].scale
    }
    return .object(JSONObject(different.map { (ByteString(String($0.tensor.dropLast(".weight".count))), value($0)) }))
  }

  private var configuration: JSONValue {
    let (rank, alpha, isRankStabilized) = ranks
    // An adapter that training went on from may leave out some modules of a name.
    let paths = trained.adapters.map { String($0.tensor.dropLast(".weight".count)) }
    let modules =
      settings.start == nil ? Set(paths.compactMap { $0.split(separator: ".").last.map(String.init) }) : Set(paths)
    let saved: JSONValue = head == .score ? .array([.string("score")]) : .null
    return .object(
      JSONObject([
        ("peft_type", .string("LORA")), ("task_type", .string(head == .score ? "SEQ_CLS" : "CAUSAL_LM")),
        ("base_model_name_or_path", .string(ByteString(base))), ("inference_mode", .bool(true)),
        ("r", .integer(Int64(rank))), ("lora_alpha", .double(alpha)), ("lora_dropout", .double(0)),
        ("use_rslora", .bool(isRankStabilized)), ("bias", .string("none")), ("fan_in_fan_out", .bool(false)),
        ("target_modules", .array(modules.sorted().map { .string(ByteString($0)) })), ("modules_to_save", saved),
        ("rank_pattern", pattern { .integer(Int64($0.rank)) }),
        ("alpha_pattern", pattern { .double(Double($0.scale) * Double($0.rank)) }),
      ]))
  }
}
