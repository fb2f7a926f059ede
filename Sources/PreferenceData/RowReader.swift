import AlignmentCore
import Glibc

/// The non-blank lines of a JSONL file, plain, gzip or zstd, in constant memory.
package final class RowReader {
  /// Longest line accepted, in bytes.
  package static let lineLimit = 16 << 20

  /// One line of the file.
  package struct Row: Sendable {
    /// Its number in the file, from 1, blank lines counted.
    package let line: Int
    /// Its bytes without the line end, valid UTF-8; or why it cannot be used, and then the next row still can be read.
    package let bytes: Result<[UInt8], Fault>
  }

  /// The path the file was opened with.
  package let path: String
  private let stream: any ByteStream
  private let storage = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
  private var unread = 0..<0
  private var line = 0
  private var text: [UInt8] = []
  private var isTooLong = false

  /// Opens a file and finds out by its first bytes whether it is compressed.
  package init(path: String) throws {
    self.path = path
    stream = try DataFile.open(path)
  }

  deinit { storage.deallocate() }

  /// The next row that is not blank, or nil at the end; throws if the file cannot be read on (truncated, damaged).
  package func next() throws -> Row? {
    while try readLine() {
      if isTooLong { return Row(line: line, bytes: .failure(fault("the line is longer than \(Self.lineLimit) bytes"))) }
      if line == 1, text.starts(with: [0xef, 0xbb, 0xbf]) { text.removeFirst(3) }
      if text.last == UInt8(ascii: "\r") { text.removeLast() }
      if text.contains(where: { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }) { return row() }
    }
    return nil
  }

  private func row() -> Row {
    do {
      _ = try UTF8Span(validating: text.span)
      return Row(line: line, bytes: .success(text))
    } catch {
      return Row(
        line: line, bytes: .failure(fault("invalid UTF-8 at byte \(error.byteOffsets.lowerBound + 1) of the line")))
    }
  }

  private func fault(_ what: String) -> Fault {
    Fault(.data, what, at: "\(path):\(line)", hint: "correct the line, or set data.on_error=skip")
  }

  /// Collects the next line, however many reads it takes; false if there is none.
  private func readLine() throws -> Bool {
    text.removeAll(keepingCapacity: true)
    isTooLong = false
    var isEmpty = true
    while try !unread.isEmpty || fill() {
      if isEmpty { line += 1 }
      isEmpty = false
      if takeUntilNewline() { return true }
    }
    return !isEmpty
  }

  private func fill() throws -> Bool {
    unread = 0..<(try stream.read(into: storage))
    return !unread.isEmpty
  }

  /// Moves bytes up to a newline, or all there are, into the line; true if the newline was found.
  private func takeUntilNewline() -> Bool {
    let window = UnsafeRawBufferPointer(rebasing: storage[unread])
    let length = Self.newline(in: window) ?? window.count
    append(UnsafeRawBufferPointer(rebasing: window[..<length]))
    let isFound = length < window.count
    unread = (unread.lowerBound + length + (isFound ? 1 : 0))..<unread.upperBound
    return isFound
  }

  private func append(_ bytes: UnsafeRawBufferPointer) {
    isTooLong = isTooLong || text.count + bytes.count > Self.lineLimit
    if !isTooLong { text.append(contentsOf: bytes) }
  }

  private static func newline(in bytes: UnsafeRawBufferPointer) -> Int? {
    guard let base = bytes.baseAddress, let found = memchr(base, 0x0a, bytes.count) else { return nil }
    return UnsafeRawPointer(found) - base
  }
}
