import CLinux

#if canImport(Glibc)
  import Glibc
#endif

/// Memory that several processes of a host have together: an anonymous file (memfd_create(2)).
///
/// No mount limits its size, as that of /dev/shm is limited in containers, and nothing is left behind however the
/// processes end. The others open it through /proc, which needs the same user and the same process namespace.
package final class SharedMapping {
  package let base: UnsafeMutableRawPointer
  package let bytes: Int
  private var descriptor: Int32

  /// Makes zeroed memory, all of it there.
  ///
  /// - Throws: ``Fault`` of kind `resource`.
  package init(bytes: Int, purpose: String) throws {
    self.bytes = max(bytes, 64)
    descriptor = memfd_create("adalign \(purpose)", UInt32(adalign_memfd_close_on_exec))
    guard descriptor >= 0 else { throw Fault.system(.resource, "cannot make shared memory", purpose, errno) }
    do {
      guard ftruncate(descriptor, self.bytes) == 0 else {
        throw Fault.system(.resource, "cannot make shared memory of \(self.bytes >> 20) MiB", purpose, errno)
      }
      base = try Self.map(descriptor, self.bytes, purpose)
    } catch {
      close(descriptor)
      throw error
    }
    guard Self.populate(base, self.bytes, descriptor) else {
      munmap(base, self.bytes)
      close(descriptor)
      throw Fault(.resource, "there is no room for shared memory of \(self.bytes >> 20) MiB", at: purpose)
    }
  }

  /// Opens what another process, or this one, made and described by its ``ticket``.
  ///
  /// - Throws: ``Fault`` if it cannot be opened, or is not what the ticket describes.
  package init(ticket: String, bytes: Int, purpose: String) throws {
    self.bytes = max(bytes, 64)
    let fields = ticket.split(separator: " ").map(String.init)
    guard fields.count == 4 else { throw Fault(.resource, "'\(ticket)' is no ticket of shared memory", at: purpose) }
    let path = "/proc/\(fields[0])/fd/\(fields[1])"
    // Where the process is another one, its descriptor may be a pipe, whose opening must not wait.
    let opened = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK)
    guard opened >= 0 else { throw Fault.system(.resource, "cannot open shared memory", path, errno) }
    defer { close(opened) }
    descriptor = -1
    guard Self.identity(opened) == [fields[2], fields[3], String(self.bytes)] else {
      throw Fault(.resource, "is other memory than that which is looked for", at: path)
    }
    base = try Self.map(opened, self.bytes, purpose)
  }

  deinit {
    munmap(base, bytes)
    closeForOthers()
  }

  /// How other processes find the memory while the descriptor is open: process, descriptor, device and inode.
  package var ticket: String {
    ([String(getpid()), String(descriptor)] + Self.identity(descriptor).prefix(2)).joined(separator: " ")
  }

  /// Lets no more processes in.
  package func closeForOthers() {
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
  }

  /// From now on a write of this process is a crash.
  package func protect() {
    mprotect(base, bytes, PROT_READ)
    // The pages of another process: faults in the first passes would be slow. Older kernels refuse, which costs only time.
    madvise(base, bytes, MADV_POPULATE_READ)
  }

  private static func map(_ descriptor: Int32, _ bytes: Int, _ purpose: String) throws -> UnsafeMutableRawPointer {
    let mapping = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
    guard let mapping, mapping != MAP_FAILED else {
      throw Fault.system(.resource, "cannot map shared memory of \(bytes >> 20) MiB", purpose, errno)
    }
    madvise(mapping, bytes, MADV_HUGEPAGE)
    return mapping
  }

  /// Makes all pages exist, so that none is missing when it is written to; huge ones where the kernel has them.
  private static func populate(_ base: UnsafeMutableRawPointer, _ bytes: Int, _ descriptor: Int32) -> Bool {
    madvise(base, bytes, MADV_POPULATE_WRITE) == 0 || posix_fallocate(descriptor, 0, bytes) == 0
  }

  /// Device, inode and size.
  private static func identity(_ descriptor: Int32) -> [String] {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return [] }
    return [String(status.st_dev), String(status.st_ino), String(status.st_size)]
  }
}
