import AlignmentCore
import Checkpoints

/// A source of bytes that is read once from start to end.
protocol ByteStream: AnyObject {
  /// Fills some of `buffer` and returns how much; 0 only at the end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
}

/// A file with a window of bytes that are read but not yet used.
final class InputFile: ByteStream {
  private let file: FileReader
  private let storage = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
  private var start = 0
  private var end = 0

  /// Opens a regular file.
  init(path: String) throws { file = try FileReader(path: path) }

  deinit { storage.deallocate() }

  /// The path, for messages.
  var path: String { file.path }

  /// Bytes that are read but not yet used; valid until the next call.
  var pending: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: storage[start..<end]) }

  /// Marks the first `count` pending bytes as used.
  func consume(_ count: Int) {
    precondition(count >= 0 && count <= end - start, "consuming \(count) of \(end - start) bytes")
    start += count
  }

  /// Reads more bytes after the pending ones; false at the end of the file.
  func refill() throws -> Bool {
    storage.copyMemory(from: pending)
    end -= start
    start = 0
    let count = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: storage[end...]))
    end += count
    return count > 0
  }

  /// Hands out pending bytes, or reads more.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    if start == end, try !refill() { return 0 }
    let count = min(buffer.count, end - start)
    buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: pending[..<count]))
    consume(count)
    return count
  }
}

/// Opens data files by what they are, not by what they are called.
enum DataFile {
  /// A stream of the decompressed contents of a file.
  static func open(_ path: String) throws -> any ByteStream {
    let file = try InputFile(path: path)
    while file.pending.count < 4, try file.refill() {}
    let magic = Array(file.pending.prefix(4))
    if magic.starts(with: [0x1f, 0x8b]) { return try GzipStream(input: file) }
    if isZstandard(magic) { return try ZstandardStream(input: file) }
    if magic == Array("PAR1".utf8) {
      throw Fault(
        .data, "Parquet files are not read", at: path,
        hint: "convert it: duckdb -c \"COPY (SELECT * FROM 'x.parquet') TO 'x.jsonl'\"")
    }
    return file
  }

  // A frame, or one of the sixteen kinds of skippable frames that may come first.
  private static func isZstandard(_ magic: [UInt8]) -> Bool {
    guard magic.count == 4 else { return false }
    if magic == [0x28, 0xb5, 0x2f, 0xfd] { return true }
    return magic[0] & 0xf0 == 0x50 && Array(magic[1...]) == [0x2a, 0x4d, 0x18]
  }
}
