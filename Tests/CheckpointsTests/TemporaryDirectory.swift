import AlignmentCore
import Checkpoints
import Glibc
import Testing

/// A directory of its own for one test, removed at the end.
final class TemporaryDirectory {
  let path: String

  init() throws {
    path = "/tmp/adalign-checkpoints-\(getpid())-\(String(UInt64.random(in: .min ... .max), radix: 36))"
    try FileSystem.makeDirectory(path)
  }

  deinit { try? FileSystem.removeTree(path) }

  func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

  @discardableResult
  func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    try AtomicFile.write(self(name), bytes)
    return self(name)
  }
}

/// The fault that `body` throws; records an issue if it throws none.
func fault(
  _ kind: Fault.Kind, containing words: String..., sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Void
) {
  do {
    try body()
    Issue.record("no fault was thrown", sourceLocation: sourceLocation)
  } catch let fault as Fault {
    #expect(fault.kind == kind, "\(fault)", sourceLocation: sourceLocation)
    for word in words {
      #expect(fault.description.contains(word), "\(fault)", sourceLocation: sourceLocation)
    }
  } catch {
    Issue.record(error, sourceLocation: sourceLocation)
  }
}

/// Little-endian bytes of floats.
func bytes(_ values: [Float]) -> [UInt8] { values.withUnsafeBytes(Array.init) }

/// Writes tensors given as arrays.
@discardableResult
func writeTensors(
  _ path: String, _ tensors: [(name: String, type: TensorType, shape: [Int], values: [Float])],
  metadata: [String: String] = ["format": "pt"]
) throws -> WrittenFile {
  let storage = tensors.map { tensor in
    let copy = UnsafeMutableBufferPointer<Float>.allocate(capacity: tensor.values.count)
    _ = copy.initialize(from: tensor.values)
    return copy
  }
  defer { for copy in storage { copy.deallocate() } }
  let sources = zip(tensors, storage).map {
    TensorSource(name: $0.name, type: $0.type, shape: $0.shape, values: UnsafeBufferPointer($1))
  }
  return try SafetensorsWriter.write(path: path, tensors: sources, metadata: metadata)
}

/// All elements of a tensor as Float32.
func floats(_ file: SafetensorsFile, _ record: TensorRecord, _ elements: Range<Int>? = nil) throws -> [Float] {
  let count = elements?.count ?? record.elementCount
  return try [Float](unsafeUninitializedCapacity: count) { buffer, filled in
    try file.copyFloats(of: record, elements: elements, into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
    filled = count
  }
}
