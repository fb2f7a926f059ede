import AlignmentCore
import JSON

/// A tensor to be written: its values stay the caller's and must live until the call returns.
package struct TensorSource {
  /// The tensor's name.
  package let name: String
  /// The type to write: F32, or F16 or BF16 rounded to nearest even.
  package let type: TensorType
  /// Its dimensions; their product is the number of values.
  package let shape: [Int]
  /// The values in row-major order.
  package let values: UnsafeBufferPointer<Float>

  /// Describes a tensor to be written.
  package init(name: String, type: TensorType = .f32, shape: [Int], values: UnsafeBufferPointer<Float>) {
    precondition(FloatConversion.canWrite(type), "\(type.rawValue) cannot be written")
    precondition(shape.allSatisfy { $0 >= 0 }, "shape \(shape) of \(name)")
    precondition(shape.reduce(1, *) == values.count, "shape \(shape) of \(name) does not hold \(values.count) values")
    precondition(name != "__metadata__" && !name.utf8.contains(0), "a tensor cannot be called \(name)")
    self.name = name
    self.type = type
    self.shape = shape
    self.values = values
  }

  /// Bytes it takes in a file.
  var byteCount: Int { values.count * type.bits / 8 }
}

/// Size and digest of a file as it was written.
package struct WrittenFile: Sendable, Equatable {
  /// Size of the whole file in bytes.
  package let bytes: Int
  /// SHA-256 of the whole file.
  package let sha256: SHA256.Digest
}

/// Writes safetensors files: the same content gives the same bytes, and the file appears complete or not at all.
package enum SafetensorsWriter {
  /// Writes tensors of distinct names; `metadata` becomes `__metadata__` (transformers expects `format: pt`).
  @discardableResult
  package static func write(
    path: String, tensors: [TensorSource], metadata: [String: String] = ["format": "pt"]
  ) throws -> WrittenFile {
    let tensors = tensors.sorted(by: precedes)
    precondition(Set(tensors.map { ByteString($0.name) }).count == tensors.count, "duplicate tensor names for \(path)")
    let header = header(of: tensors, metadata)
    guard header.count - 8 <= SafetensorsHeader.maximumLength else {
      throw Fault(.unwritable, "the header of \(tensors.count) tensors is too long for safetensors", at: path)
    }
    let output = try HashingOutput(file: AtomicFile(path: path))
    try header.withUnsafeBytes { try output.append($0) }
    for tensor in tensors { try append(tensor, to: output) }
    return try output.commit()
  }

  // The order of the reference writer: largest alignment first, then by name.
  private static func precedes(_ a: TensorSource, _ b: TensorSource) -> Bool {
    if a.type != b.type { return a.type.alignmentRank > b.type.alignmentRank }
    return FileSystem.precedes(a.name, b.name)
  }

  private static func header(of tensors: [TensorSource], _ metadata: [String: String]) -> [UInt8] {
    var root = JSONObject()
    let pairs = metadata.map { (ByteString($0.key), JSONValue.string(ByteString($0.value))) }.sorted { $0.0 < $1.0 }
    if !pairs.isEmpty { root.members.append((key: "__metadata__", value: .object(JSONObject(pairs)))) }
    var offset = 0
    for tensor in tensors {
      root.members.append((key: ByteString(tensor.name), value: entry(tensor, at: offset)))
      offset += tensor.byteCount
    }
    var json = JSONValue.object(root).serialized()
    json += [UInt8](repeating: UInt8(ascii: " "), count: (8 - json.count % 8) % 8)
    return withUnsafeBytes(of: UInt64(json.count).littleEndian, Array.init) + json
  }

  private static func entry(_ tensor: TensorSource, at offset: Int) -> JSONValue {
    .object(
      JSONObject([
        ("dtype", .string(ByteString(tensor.type.rawValue))),
        ("shape", .array(tensor.shape.map { .integer(Int64($0)) })),
        ("data_offsets", .array([.integer(Int64(offset)), .integer(Int64(offset + tensor.byteCount))])),
      ]))
  }

  private static func append(_ tensor: TensorSource, to output: HashingOutput) throws {
    guard tensor.type != .f32 else { return try output.append(UnsafeRawBufferPointer(tensor.values)) }
    let values = tensor.values
    for start in stride(from: 0, to: values.count, by: HashingOutput.pieceCount) {
      let end = min(start + HashingOutput.pieceCount, values.count)
      try output.append(tensor.type, UnsafeBufferPointer(rebasing: values[start..<end]))
    }
  }
}

/// An atomic file that is hashed while it is written, with a buffer for converted values.
private final class HashingOutput {
  static let pieceCount = 1 << 20

  private let file: AtomicFile
  private let hash = SHA256()
  private let piece = UnsafeMutablePointer<UInt16>.allocate(capacity: pieceCount)

  init(file: AtomicFile) { self.file = file }

  deinit { piece.deallocate() }

  // In pieces, so that bytes are hashed while they are in cache.
  func append(_ bytes: UnsafeRawBufferPointer) throws {
    for start in stride(from: 0, to: bytes.count, by: 8 << 20) {
      let part = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + 8 << 20, bytes.count)])
      hash.update(part)
      try file.append(part)
    }
  }

  func append(_ type: TensorType, _ values: UnsafeBufferPointer<Float>) throws {
    FloatConversion.write(type, values, into: piece)
    try append(UnsafeRawBufferPointer(start: piece, count: 2 * values.count))
  }

  func commit() throws -> WrittenFile {
    try file.commit()
    return WrittenFile(bytes: file.count, sha256: hash.finish())
  }
}
