import AlignmentCore
import JSON

/// A safetensors file, checked completely and mapped into memory.
package final class SafetensorsFile: Sendable {
  /// The path it was opened with.
  package let path: String
  /// All tensors in the order of their bytes.
  package let tensors: [TensorRecord]
  /// The `__metadata__` of the file.
  package let metadata: [String: String]
  private let file: MappedFile
  private let positions: [ByteString: Int]

  /// Opens and checks a file; throws `.data` naming the tensor and the rule that is broken.
  package init(path: String) throws {
    let file = try MappedFile(path: path)
    let header = try file.withBytes { try SafetensorsHeader(file: $0, path: path) }
    self.path = path
    self.file = file
    tensors = header.tensors
    metadata = header.metadata
    positions = Dictionary(uniqueKeysWithValues: zip(header.tensors.map { ByteString($0.name) }, 0...))
  }

  /// The tensor of a name, compared byte by byte.
  package subscript(name: String) -> TensorRecord? {
    positions[ByteString(name)].map { tensors[$0] }
  }

  /// Copies a tensor, or a range of its elements in row-major order, into `target` as Float32.
  ///
  /// Reads F32, BF16, F16 and F64 (rounded to nearest); other types throw `.data` naming the type.
  package func copyFloats(
    of record: TensorRecord, elements: Range<Int>? = nil, into target: UnsafeMutableBufferPointer<Float>
  ) throws {
    guard FloatConversion.canRead(record.type) else {
      throw Fault(
        .data, "tensor '\(record.name)' has type \(record.type.rawValue), which cannot be read as floats", at: path,
        hint: "save the model as F32, BF16 or F16")
    }
    let elements = elements ?? 0..<record.elementCount
    precondition(
      elements.lowerBound >= 0 && elements.upperBound <= record.elementCount, "elements \(elements) of \(record)")
    precondition(elements.count == target.count, "\(elements.count) elements into \(target.count) floats")
    let width = record.type.bits / 8
    let start = record.byteRange.lowerBound + elements.lowerBound * width
    file.withBytes { bytes in
      FloatConversion.read(record.type, .init(rebasing: bytes[start..<start + elements.count * width]), into: target)
    }
  }

  /// Calls `body` with the bytes of a tensor, which may have any alignment.
  package func withBytes<Result>(of record: TensorRecord, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows
    -> Result
  {
    try file.withBytes { try body(UnsafeRawBufferPointer(rebasing: $0[record.byteRange])) }
  }

  /// Appends the whole file to a digest.
  func hash(into digest: SHA256) {
    file.withBytes { digest.update($0) }
  }
}
