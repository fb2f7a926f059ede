import AlignmentCore
import Checkpoints
import JSON
import Tokenization
import Transformer

/// Writes a model as a directory that transformers loads: F32 weights, the source's configuration and tokenizer files.
package struct ModelExport {
  let source: ModelSource
  let layout: ParameterLayout
  /// What stands on top of the decoder; a value head goes to a file of its own.
  let head: ModelHead

  /// Name of the file of a value head, which transformers does not know.
  static let valueHeadFile = "value_head.safetensors"
  package init(source: ModelSource, layout: ParameterLayout, head: ModelHead) {
    self.source = source
    self.layout = layout
    self.head = head
  }

  /// Refuses a directory that is there already, or cannot be made, before any work is done for it.
  package static func checkTarget(_ directory: String) throws {
    guard !FileSystem.exists(directory) else {
      throw Fault(.unwritable, "is there already", at: directory, hint: "name a new directory for the model")
    }
    try FileSystem.checkParent(of: directory)
    // Disappears with the object.
    _ = try AtomicFile(path: directory)
  }

  /// Makes the directory appear complete or not at all; one of the same name is replaced.
  package func write(_ parameters: FloatView, to directory: String) throws {
    let staging = "\(FileSystem.parent(of: directory))/\(FileSystem.name(of: directory)).tmp"
    try FileSystem.removeTree(staging)
    try FileSystem.makeDirectory(staging)
    try write(parameters, "\(staging)/model.safetensors") { !$0.hasPrefix(ParameterLayout.valueHead) }
    if head == .languageModelWithValue {
      try write(parameters, "\(staging)/\(Self.valueHeadFile)") { $0.hasPrefix(ParameterLayout.valueHead) }
    }
    for (name, bytes) in try companions() { try AtomicFile.write("\(staging)/\(name)", bytes) }
    try FileSystem.syncDirectory(staging)
    try FileSystem.removeTree(directory)
    try FileSystem.move(staging, to: directory)
    try FileSystem.syncDirectory(FileSystem.parent(of: directory))
  }

  private func write(_ parameters: FloatView, _ path: String, where isWanted: (String) -> Bool) throws {
    let tensors = layout.tensors.filter { isWanted($0.name) }.map { tensor in
      let view = parameters[tensor.range]
      return TensorSource(
        name: tensor.name, shape: tensor.shape, values: UnsafeBufferPointer(start: view.base, count: view.count))
    }
    try SafetensorsWriter.write(path: path, tensors: tensors)
  }

  private func companions() throws -> [(name: String, bytes: [UInt8])] {
    let padding = head == .score ? try PaddingToken(source) : nil
    return source.companions.map { name, bytes in
      guard var object = try? ModelSource.parse(bytes, name).objectValue else { return (name, bytes) }
      switch name {
      case "config.json": configure(&object, padding)
      case "tokenizer_config.json" where padding?.isNew == true:
        object["pad_token"] = padding.map { .string(ByteString($0.text)) }
      default: return (name, bytes)
      }
      return (name, JSONValue.object(object).serialized(pretty: true))
    }
  }

  /// The source's `config.json` with its data type set to float32 and, for a reward model, one label and a padding token.
  private func configure(_ object: inout JSONObject, _ padding: PaddingToken?) {
    for key: ByteString in ["torch_dtype", "dtype"] where object[key] != nil { object[key] = .string("float32") }
    guard head == .score else { return }
    let architecture = object["architectures"]?.arrayValue?.first?.stringValue ?? "ForCausalLM"
    let family = architecture.replacing("ForCausalLM", with: "").replacing("ForSequenceClassification", with: "")
    object["architectures"] = .array([.string(ByteString("\(family)ForSequenceClassification"))])
    object["id2label"] = .object(JSONObject([("0", .string("LABEL_0"))]))
    object["label2id"] = .object(JSONObject([("LABEL_0", .integer(0))]))
    if let padding { object["pad_token_id"] = .integer(Int64(padding.id)) }
  }
}

/// The padding token of a reward model. transformers finds the last token of a sequence as the last that is no padding, so
/// it must not be the end-of-sequence token.
private struct PaddingToken {
  let id: Int32
  let text: String
  /// Whether the model had none, or one that would hide the end of the sequence.
  let isNew: Bool

  /// The model's own, or else a special token that training never puts at the end of a sequence.
  init?(_ source: ModelSource) throws {
    let own = try source.companions.first { $0.name == "config.json" }
      .flatMap { try ModelSource.parse($0.bytes, "config.json")["pad_token_id"]?.intValue }
    if let own, own >= 0, own != source.endOfSequence, let text = source.tokenizer.token(of: Int32(own)) {
      (id, self.text, isNew) = (Int32(own), text, false)
      return
    }
    let special = source.tokenizer.specialTokens.first { $0.id != source.endOfSequence }
    guard let special else {
      log.warning("the tokenizer has no token for padding: give transformers' reward model one sequence at a time")
      return nil
    }
    (id, text, isNew) = (special.id, special.text, true)
  }
}
