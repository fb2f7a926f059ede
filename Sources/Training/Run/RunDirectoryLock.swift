import Checkpoints

#if canImport(Glibc)
  import Glibc
#endif

/// A run directory that belongs to this job, made if it was not there.
final class RunDirectoryLock {
  private let directory: String
  private let isNew: Bool
  private let lock: RunLock

  /// - Throws: ``Fault`` if the directory cannot be written or another job has it.
  init(_ directory: String) throws {
    self.directory = directory
    isNew = !FileSystem.exists(directory)
    try FileSystem.makeDirectory(directory)
    lock = try RunLock(directory: directory)
  }

  /// Takes back what was made, for a run that is refused before it begins.
  func releaseUnused() {
    guard isNew else { return }
    unlink(lock.path)
    rmdir(directory)
  }
}
