import AlignmentCore
import Glibc

/// A regular file open for sequential reading; closes itself.
package final class FileReader {
  /// The path the file was opened with, for messages.
  package let path: String
  /// The size of the file when it was opened.
  package let size: Int
  private let descriptor: Int32

  /// Opens a regular file; with `followLinks` false a symbolic link is refused.
  package init(path: String, followLinks: Bool = true) throws {
    let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | (followLinks ? 0 : O_NOFOLLOW)
    let descriptor = open(path, flags)
    guard descriptor >= 0 else { throw Fault.system(.missingInput, "cannot open file", path, errno) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw Fault(.missingInput, "not a regular file", at: path, hint: "give a plain file")
    }
    self.path = path
    self.descriptor = descriptor
    size = Int(status.st_size)
  }

  deinit { close(descriptor) }

  /// Reads up to `buffer.count` bytes and returns how many; 0 only at the end of the file.
  package func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    while true {
      let count = Glibc.read(descriptor, buffer.baseAddress, min(buffer.count, 1 << 30))
      if count >= 0 { return count }
      guard errno == EINTR else { throw Fault.system(.missingInput, "cannot read file", path, errno) }
    }
  }
}
