import AlignmentCore
import Checkpoints
import JSON
import Transformer

/// Writes a model as a directory that transformers loads: F32 weights, the source's configuration and tokenizer files.
package struct ModelExport {
  let source: ModelSource
  let layout: ParameterLayout

  /// Makes the directory appear complete or not at all; one of the same name is replaced.
  package func write(_ parameters: FloatView, to directory: String) throws {
    let staging = "\(directory).tmp"
    try FileSystem.removeTree(staging)
    try FileSystem.makeDirectory(staging)
    let tensors = layout.tensors.map { tensor in
      let view = parameters[tensor.range]
      return TensorSource(
        name: tensor.name, shape: tensor.shape, values: UnsafeBufferPointer(start: view.base, count: view.count))
    }
    try SafetensorsWriter.write(path: "\(staging)/model.safetensors", tensors: tensors)
    for (name, bytes) in source.companions {
      try AtomicFile.write("\(staging)/\(name)", name == "config.json" ? floatConfiguration(bytes) : bytes)
    }
    try FileSystem.syncDirectory(staging)
    try FileSystem.removeTree(directory)
    try FileSystem.move(staging, to: directory)
    try FileSystem.syncDirectory(FileSystem.parent(of: directory))
  }

  /// The source's `config.json` with its data type set to float32, everything else as it was.
  private func floatConfiguration(_ bytes: [UInt8]) throws -> [UInt8] {
    guard var object = try ModelSource.parse(bytes, "config.json").objectValue else { return bytes }
    for key: ByteString in ["torch_dtype", "dtype"] where object[key] != nil { object[key] = .string("float32") }
    return JSONValue.object(object).serialized(pretty: true)
  }
}
