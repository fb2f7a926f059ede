import Glibc

/// A regular file mapped read-only into memory, for its whole life.
///
/// `@unchecked Sendable` is sound because the mapping is private, read-only and never changes after `init`.
package final class MappedFile: @unchecked Sendable {
  /// The path the file was opened with, for messages.
  package let path: String
  /// The whole file; valid only while this object lives.
  package let bytes: UnsafeRawBufferPointer

  /// Maps the regular file at `path`; throws `.missingInput` if it cannot be opened or is not a regular file.
  package init(path: String) throws {
    self.path = path
    // O_NONBLOCK so that opening a FIFO fails the check below instead of waiting for a writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw Fault.system(.missingInput, "cannot open file", path, errno) }
    defer { close(descriptor) }
    let size = try Self.regularSize(of: descriptor, path)
    bytes = try Self.map(descriptor, size, path)
  }

  deinit {
    if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
  }

  /// Calls `body` with the whole file and keeps the mapping alive meanwhile.
  package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try withExtendedLifetime(self) { try body(bytes) }
  }

  /// Reads one little-endian integer at any byte offset.
  package func integer<Value: FixedWidthInteger & BitwiseCopyable>(_ type: Value.Type, at offset: Int) -> Value {
    precondition(offset >= 0 && offset <= bytes.count - MemoryLayout<Value>.size, "offset \(offset) in \(path)")
    return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: type))
  }

  /// A typed view of `count` values at an aligned byte offset; valid only while this object lives.
  package func values<Value: BitwiseCopyable>(
    _ type: Value.Type, at offset: Int, count: Int
  ) -> UnsafeBufferPointer<Value> {
    let stride = MemoryLayout<Value>.stride
    precondition(offset >= 0 && count >= 0 && offset <= bytes.count, "offset \(offset) in \(path)")
    precondition(count <= (bytes.count - offset) / stride, "\(count) values at \(offset) in \(path)")
    precondition(offset.isMultiple(of: MemoryLayout<Value>.alignment), "misaligned offset \(offset) in \(path)")
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count * stride]).assumingMemoryBound(to: type)
  }

  private static func regularSize(of descriptor: Int32, _ path: String) throws -> Int {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Fault.system(.missingInput, "cannot examine file", path, errno) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw Fault(.missingInput, "not a regular file", at: path, hint: "give a plain file")
    }
    return Int(status.st_size)
  }

  private static func map(_ descriptor: Int32, _ size: Int, _ path: String) throws -> UnsafeRawBufferPointer {
    guard size > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
      throw Fault.system(.resource, "cannot map \(size) bytes", path, errno)
    }
    // A file that shrank between the two calls would fault on access.
    guard let now = try? regularSize(of: descriptor, path), now >= size else {
      munmap(base, size)
      throw Fault(.data, "the file is changing while it is opened", at: path, hint: "wait until its writer is done")
    }
    return UnsafeRawBufferPointer(start: base, count: size)
  }
}

extension Fault {
  /// A fault of a system call: what failed, on which path, with the system's own words for `code`.
  package static func system(_ kind: Kind, _ what: String, _ path: String, _ code: Int32) -> Fault {
    let exhausted = code == ENOMEM || code == EMFILE || code == ENFILE
    let refined = kind == .missingInput && exhausted ? .resource : kind
    return Fault(refined, "\(what): \(String(cString: strerror(code)))", at: path)
  }
}
