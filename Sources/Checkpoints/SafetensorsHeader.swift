import AlignmentCore
import JSON

/// The checked header of a safetensors file.
///
/// It makes every check of the reference implementation, and is stricter where that departs from its own README:
/// duplicate keys, names with NUL and absurd numbers of tensors are refused.
struct SafetensorsHeader {
  /// Longest header accepted, as in the reference implementation.
  static let maximumLength = 100_000_000
  /// Most tensors accepted in one file.
  static let maximumTensors = 100_000

  /// Tensors in the order of their bytes.
  let tensors: [TensorRecord]
  /// The `__metadata__` of the file.
  let metadata: [String: String]

  /// Checks and decodes the header of a whole file.
  init(file: UnsafeRawBufferPointer, path: String) throws {
    let header = try Self.headerRange(file, path)
    let root = try Self.parse(UnsafeRawBufferPointer(rebasing: file[header]), path)
    let reader = EntryReader(dataStart: header.upperBound, dataSize: file.count - header.upperBound, path: path)
    var tensors: [TensorRecord] = []
    var metadata: [String: String] = [:]
    for (key, value) in root.members {
      if key == "__metadata__" {
        metadata = try reader.metadata(value)
      } else {
        tensors.append(try reader.record(key, value))
      }
    }
    tensors.sort {
      ($0.byteRange.lowerBound, $0.byteRange.upperBound) < ($1.byteRange.lowerBound, $1.byteRange.upperBound)
    }
    try reader.checkContiguous(tensors)
    self.tensors = tensors
    self.metadata = metadata
  }

  private static func headerRange(_ file: UnsafeRawBufferPointer, _ path: String) throws -> Range<Int> {
    guard file.count >= 8 else { throw fault("the file has \(file.count) bytes, too few for a header length", path) }
    let length = UInt64(littleEndian: file.loadUnaligned(as: UInt64.self))
    guard length <= maximumLength else {
      throw fault("header length \(length) exceeds the limit of \(maximumLength)", path)
    }
    guard Int(length) <= file.count - 8 else {
      throw fault("header length \(length) reaches beyond the file of \(file.count) bytes", path)
    }
    return 8..<8 + Int(length)
  }

  private static func parse(_ bytes: UnsafeRawBufferPointer, _ path: String) throws -> JSONObject {
    let value: JSONValue
    do throws(JSONError) {
      value = try JSONValue.parse(bytes.assumingMemoryBound(to: UInt8.self), duplicateKeys: .reject)
    } catch {
      throw fault("the header is not valid JSON (\(error))", path)
    }
    guard let root = value.objectValue else { throw fault("the header is not a JSON object", path) }
    guard root.members.count <= maximumTensors else {
      throw fault("\(root.members.count) tensors exceed the limit of \(maximumTensors)", path)
    }
    return root
  }

  /// A fault of the file.
  static func fault(_ what: String, _ path: String) -> Fault {
    Fault(.data, what, at: path, hint: "not a sound safetensors file; download or save it again")
  }
}

/// Decodes and checks the entries of one header.
private struct EntryReader {
  let dataStart: Int
  let dataSize: Int
  let path: String

  func metadata(_ value: JSONValue) throws -> [String: String] {
    if value == .null { return [:] }
    guard let object = value.objectValue else { throw SafetensorsHeader.fault("__metadata__ is not an object", path) }
    var result: [String: String] = [:]
    for (key, value) in object.members {
      guard let text = value.stringValue else {
        throw SafetensorsHeader.fault("__metadata__ value of '\(key)' is not a string", path)
      }
      result[key.description] = text
    }
    return result
  }

  func record(_ name: ByteString, _ entry: JSONValue) throws -> TensorRecord {
    guard !name.bytes.contains(0) else { throw SafetensorsHeader.fault("a tensor name contains NUL", path) }
    guard let entry = entry.objectValue else { throw fault(name, "its entry is not an object") }
    let type = try self.type(name, entry["dtype"])
    let shape = try integers(name, "shape", entry["shape"])
    let offsets = try integers(name, "data_offsets", entry["data_offsets"])
    let range = try self.range(name, offsets)
    try checkSize(name, type, shape, range.count)
    let start = dataStart + range.lowerBound
    return TensorRecord(name: name.description, type: type, shape: shape, byteRange: start..<start + range.count)
  }

  // Holes, overlaps and trailing bytes would let one file mean different things to different readers.
  func checkContiguous(_ tensors: [TensorRecord]) throws {
    var end = dataStart
    for tensor in tensors {
      guard tensor.byteRange.lowerBound == end else {
        let relation = tensor.byteRange.lowerBound < end ? "overlap the tensor before" : "leave a hole before"
        throw fault(ByteString(tensor.name), "data_offsets \(relation) byte \(end - dataStart)")
      }
      end = tensor.byteRange.upperBound
    }
    guard end == dataStart + dataSize else {
      let place = tensors.last.map { "after the last tensor '\($0.name)'" } ?? "without any tensor"
      throw SafetensorsHeader.fault("\(dataStart + dataSize - end) trailing bytes \(place)", path)
    }
  }

  private func type(_ name: ByteString, _ value: JSONValue?) throws -> TensorType {
    guard let text = value?.stringValue else { throw fault(name, "dtype is missing or not a string") }
    guard let type = TensorType(rawValue: text) else { throw fault(name, "unknown dtype '\(text)'") }
    return type
  }

  private func integers(_ name: ByteString, _ field: String, _ value: JSONValue?) throws -> [Int] {
    guard let elements = value?.arrayValue else { throw fault(name, "\(field) is missing or not a list") }
    return try elements.map { element in
      guard case .integer(let number) = element, number >= 0 else {
        throw fault(name, "\(field) must hold integers from 0 to 2^63-1")
      }
      return Int(number)
    }
  }

  private func range(_ name: ByteString, _ offsets: [Int]) throws -> Range<Int> {
    guard offsets.count == 2 else { throw fault(name, "data_offsets has \(offsets.count) numbers, not 2") }
    guard offsets[0] <= offsets[1] else { throw fault(name, "data_offsets \(offsets) end before they begin") }
    guard offsets[1] <= dataSize else {
      throw fault(name, "data_offsets \(offsets) reach beyond the \(dataSize) bytes of data; the file is truncated")
    }
    return offsets[0]..<offsets[1]
  }

  private func checkSize(_ name: ByteString, _ type: TensorType, _ shape: [Int], _ size: Int) throws {
    var bits = (partialValue: 1, overflow: false)
    for factor in shape + [type.bits] {
      bits = bits.partialValue.multipliedReportingOverflow(by: factor)
      guard !bits.overflow else { throw fault(name, "the size of shape \(shape) overflows") }
    }
    guard bits.partialValue.isMultiple(of: 8) else {
      throw fault(name, "shape \(shape) of \(type.rawValue) is not a whole number of bytes")
    }
    guard bits.partialValue / 8 == size else {
      throw fault(
        name, "data_offsets span \(size) bytes, but shape \(shape) of \(type.rawValue) needs \(bits.partialValue / 8)")
    }
  }

  private func fault(_ name: ByteString, _ what: String) -> Fault {
    SafetensorsHeader.fault("tensor '\(name)': \(what)", path)
  }
}
