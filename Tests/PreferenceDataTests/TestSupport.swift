import AlignmentCore
import CZlib
import CZstd
import Checkpoints
import Glibc
import PreferenceData
import Testing

/// A directory of its own for one test, removed at the end.
final class TemporaryDirectory {
  let path: String

  init() throws {
    path = "/tmp/adalign-data-\(getpid())-\(String(UInt64.random(in: .min ... .max), radix: 36))"
    try FileSystem.makeDirectory(path)
  }

  deinit { try? FileSystem.removeTree(path) }

  func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes a file in place, without durability and without the code under test.
  @discardableResult
  func write(_ name: String, _ bytes: [UInt8]) throws -> String {
    let descriptor = open(self(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
    return self(name)
  }

  @discardableResult
  func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }
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

/// One token per byte, BOS 256 in front, and "::" as one token 300, so that a boundary can fall inside a token.
struct ByteEncoder: TextEncoder {
  static let bos: Int32 = 256
  static let eos: Int32 = 257
  static let doubleColon: Int32 = 300
  var addsBOS = true
  /// Bytes that encode to nothing.
  var dropped: [UInt8] = []

  func encode(_ text: [UInt8], addSpecialTokens: Bool) throws -> [Int32] {
    var ids: [Int32] = addSpecialTokens && addsBOS ? [Self.bos] : []
    var index = 0
    while index < text.count {
      let isPair = text[index...].starts(with: Array("::".utf8))
      if isPair {
        ids.append(Self.doubleColon)
      } else if !dropped.contains(text[index]) {
        ids.append(Int32(text[index]))
      }
      index += isPair ? 2 : 1
    }
    return ids
  }

  /// The ids of a text without specials.
  static func ids(_ text: String) -> [Int32] { text.utf8.map { Int32($0) } }
}

/// A gzip member, made by zlib.
func gzip(_ bytes: [UInt8]) -> [UInt8] {
  var stream = z_stream()
  deflateInit2_(
    &stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
  defer { deflateEnd(&stream) }
  var input = bytes
  var output = [UInt8](repeating: 0, count: Int(deflateBound(&stream, UInt(bytes.count))) + 64)
  let count = input.withUnsafeMutableBufferPointer { source in
    output.withUnsafeMutableBufferPointer { target in
      stream.next_in = source.baseAddress
      stream.avail_in = UInt32(source.count)
      stream.next_out = target.baseAddress
      stream.avail_out = UInt32(target.count)
      deflate(&stream, Z_FINISH)
      return target.count - Int(stream.avail_out)
    }
  }
  return Array(output[..<count])
}

/// A Zstandard frame.
func zstandard(_ bytes: [UInt8]) -> [UInt8] {
  var output = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
  let count = ZSTD_compress(&output, output.count, bytes, bytes.count, 3)
  return Array(output[..<count])
}

/// Rows of a file as text, in order.
func lines(_ path: String) throws -> [(Int, String)] {
  let reader = try RowReader(path: path)
  var rows: [(Int, String)] = []
  while let row = try reader.next() { rows.append((row.line, String(decoding: try row.bytes.get(), as: UTF8.self))) }
  return rows
}

/// A small deterministic generator for property tests.
struct TestGenerator {
  var state: UInt64

  mutating func next(below bound: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int(state >> 33) % bound
  }
}
