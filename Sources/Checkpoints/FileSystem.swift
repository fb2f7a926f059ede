import AlignmentCore
import Glibc

/// Small file-system operations that throw a `Fault` with the path and the system's own words.
package enum FileSystem {
  /// Whether anything, even a dangling link, is at `path`.
  package static func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  /// Whether `path` is a directory or a link to one.
  package static func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Whether `path` is a directory, and no link to one.
  static func isPlainDirectory(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Makes a directory and its missing parents; an existing directory is fine.
  package static func makeDirectory(_ path: String) throws {
    if isDirectory(path) { return }
    let parent = self.parent(of: path)
    if parent != path, !isDirectory(parent) { try makeDirectory(parent) }
    guard mkdir(path, 0o777) != 0 else { return }
    let code = errno
    if code == EEXIST, isDirectory(path) { return }
    throw Fault.system(.unwritable, "cannot make directory", path, code)
  }

  /// The names in a directory without `.` and `..`, in byte order.
  package static func list(_ path: String) throws -> [String] {
    guard let stream = opendir(path) else { throw Fault.system(.missingInput, "cannot list directory", path, errno) }
    defer { closedir(stream) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != ".", name != ".." { names.append(name) }
      errno = 0
    }
    guard errno == 0 else { throw Fault.system(.missingInput, "cannot list directory", path, errno) }
    return names.sorted(by: precedes)
  }

  /// Removes a file, or a directory with all it holds; links are removed, not followed; nothing there is fine.
  package static func removeTree(_ path: String) throws {
    var status = stat()
    guard lstat(path, &status) == 0 else {
      if errno == ENOENT { return }
      throw Fault.system(.unwritable, "cannot examine", path, errno)
    }
    let isDirectory = status.st_mode & S_IFMT == S_IFDIR
    if isDirectory { for name in try list(path) { try removeTree("\(path)/\(name)") } }
    guard (isDirectory ? rmdir(path) : unlink(path)) == 0 || errno == ENOENT else {
      throw Fault.system(.unwritable, "cannot remove", path, errno)
    }
  }

  /// Refuses an output whose directory is not there, before any work is done for it.
  package static func checkParent(of path: String) throws {
    let directory = parent(of: path)
    guard isDirectory(directory) else {
      throw Fault(
        .unwritable, "there is no directory \(directory)", at: path, hint: "make it, or choose another output")
    }
  }

  /// Makes the names in a directory durable.
  package static func syncDirectory(_ path: String) throws {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Fault.system(.unwritable, "cannot open directory", path, errno) }
    defer { close(descriptor) }
    try sync(descriptor, path)
  }

  /// The contents of a whole regular file; longer than `limit` bytes is a `.data` fault.
  package static func readWhole(_ path: String, limit: Int = 1 << 30, followLinks: Bool = true) throws -> [UInt8] {
    let file = try FileReader(path: path, followLinks: followLinks)
    guard file.size <= limit else {
      throw Fault(.data, "the file has \(file.size) bytes, more than the limit of \(limit)", at: path)
    }
    return try [UInt8](unsafeUninitializedCapacity: file.size) { buffer, filled in
      filled = 0
      while filled < file.size {
        let count = try file.read(
          into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[filled...]))
        if count == 0 { break }
        filled += count
      }
    }
  }

  /// Moves a file or directory within one file system, replacing a file or an empty directory.
  package static func move(_ source: String, to target: String) throws {
    guard rename(source, target) == 0 else {
      throw Fault.system(.unwritable, "cannot rename \(source) to this", target, errno)
    }
  }

  /// The directory part of a path; `.` if it has none.
  package static func parent(of path: String) -> String {
    let trimmed = trimmingSlashes(path)
    guard let slash = trimmed.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == trimmed.startIndex ? "/" : String(decoding: trimmed[..<slash], as: UTF8.self)
  }

  /// The last component of a path.
  package static func name(of path: String) -> String {
    let trimmed = trimmingSlashes(path)
    guard trimmed != [UInt8(ascii: "/")], let slash = trimmed.lastIndex(of: UInt8(ascii: "/")) else {
      return String(decoding: trimmed, as: UTF8.self)
    }
    return String(decoding: trimmed[(slash + 1)...], as: UTF8.self)
  }

  /// Whether a name from a file may be joined to a directory: not empty, no separator, NUL, `.` or `..`.
  package static func isPlainName(_ name: String) -> Bool {
    let bytes = name.utf8
    let forbidden = bytes.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 < 0x20 || $0 == 0x7f }
    return !bytes.isEmpty && bytes.count <= 255 && !forbidden && name != "." && name != ".."
  }

  /// Makes an open file or directory durable.
  static func sync(_ descriptor: Int32, _ path: String) throws {
    while fsync(descriptor) != 0 {
      guard errno == EINTR else { throw Fault.system(.unwritable, "cannot make durable", path, errno) }
    }
  }

  /// Byte order, because `String`'s own is by canonical equivalence and names are bytes.
  static func precedes(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }

  private static func trimmingSlashes(_ path: String) -> ArraySlice<UInt8> {
    var bytes = Array(path.utf8)[...]
    while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
    return bytes
  }
}
