import AlignmentCore
import Glibc

/// A file that appears under its name complete and durable, or not at all.
///
/// Bytes go to a temporary file in the same directory; `commit()` makes it durable and renames it. Without a commit,
/// the temporary file disappears with this object.
package final class AtomicFile {
  /// Where the file will appear.
  package let path: String
  /// Bytes appended so far.
  package private(set) var count = 0
  private let temporary: String
  private var descriptor: Int32
  private var isCommitted = false

  /// Creates the temporary file; a target that exists must be a regular file, and a link is replaced at its end.
  package init(path: String) throws {
    self.path = try Self.resolved(path)
    (temporary, descriptor) = try Self.makeTemporary(in: FileSystem.parent(of: self.path))
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    if !isCommitted { unlink(temporary) }
  }

  /// Refuses a file that could not appear, before any work is done for it.
  package static func check(_ path: String) throws {
    try FileSystem.checkParent(of: path)
    _ = try AtomicFile(path: path)
  }

  /// Writes a whole file.
  package static func write(_ path: String, _ bytes: [UInt8]) throws {
    try write(path) { try $0.append(bytes) }
  }

  /// Writes a whole file piece by piece; if `body` throws, nothing appears.
  package static func write(_ path: String, _ body: (AtomicFile) throws -> Void) throws {
    let file = try AtomicFile(path: path)
    try body(file)
    try file.commit()
  }

  /// Appends bytes, whatever number of system calls that takes.
  package func append(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes
    while !rest.isEmpty {
      let written = Glibc.write(descriptor, rest.baseAddress, min(rest.count, 1 << 30))
      try advance(&rest, by: written)
    }
    count += bytes.count
  }

  /// Appends an array of bytes.
  package func append(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try append($0) }
  }

  /// Overwrites bytes already appended, for headers known only at the end.
  package func overwrite(_ bytes: [UInt8], at offset: Int) throws {
    precondition(
      offset >= 0 && offset + bytes.count <= count, "overwriting \(bytes.count) bytes at \(offset) of \(count)")
    try bytes.withUnsafeBytes { whole in
      var rest = whole
      while !rest.isEmpty {
        let written = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + whole.count - rest.count))
        try advance(&rest, by: written)
      }
    }
  }

  /// Makes the contents durable, renames the file to its name and makes the name durable.
  package func commit() throws {
    precondition(!isCommitted, "\(path) is already committed")
    try FileSystem.sync(descriptor, path)
    let closed = close(descriptor)
    let code = errno
    descriptor = -1
    guard closed == 0 || code == EINTR else { throw Fault.system(.unwritable, "cannot close file", path, code) }
    try FileSystem.move(temporary, to: path)
    isCommitted = true
    try FileSystem.syncDirectory(FileSystem.parent(of: path))
  }

  private func advance(_ rest: inout UnsafeRawBufferPointer, by written: Int) throws {
    if written > 0 {
      rest = UnsafeRawBufferPointer(rebasing: rest[written...])
    } else if written == 0 || errno != EINTR {
      throw Fault.system(.unwritable, "cannot write file", path, written == 0 ? ENOSPC : errno)
    }
  }

  // Renaming over a device, such as /dev/stdout, would destroy it.
  private static func resolved(_ path: String) throws -> String {
    var status = stat()
    guard stat(path, &status) == 0 else { return path }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw Fault(.unwritable, "the output exists and is not a regular file", at: path, hint: "name a plain file")
    }
    guard let real = realpath(path, nil) else { return path }
    defer { free(real) }
    return String(cString: real)
  }

  // O_EXCL decides between writers; the name needs no secrecy and never influences a result.
  private static func makeTemporary(in directory: String) throws -> (String, Int32) {
    while true {
      let name = "\(directory)/.tmp-\(String(UInt64.random(in: .min ... .max), radix: 36))"
      let descriptor = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
      if descriptor >= 0 { return (name, descriptor) }
      guard errno == EEXIST else { throw Fault.system(.unwritable, "cannot create a file in", directory, errno) }
    }
  }
}
