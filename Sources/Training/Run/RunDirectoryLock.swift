import AlignmentCore
import Checkpoints
import Collectives

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

  /// Takes the directory on rank 0, if all hosts see what rank 0 writes there.
  ///
  /// - Returns: the lock on rank 0, nil on the others.
  /// - Throws: ``Fault`` that names a host which sees another directory, or none.
  static func take(_ directory: String, over communicator: any Communicator) throws -> RunDirectoryLock? {
    var lock: RunDirectoryLock?
    let content = try communicator.onRankZero {
      let taken = try RunDirectoryLock(directory)
      lock = taken
      return taken.content
    }
    do {
      _ = try communicator.onEachHost { try waitToSee(content, in: directory) }
    } catch {
      lock?.releaseUnused()
      throw error
    }
    return lock
  }

  /// What the lock file says of its holder.
  private var content: String { Self.content(of: directory) }

  private static func content(of directory: String) -> String {
    (try? FileSystem.readWhole("\(directory)/lock")).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }

  /// A network file system may show a new file late.
  private static func waitToSee(_ content: String, in directory: String) throws -> String {
    for _ in 0..<patience {
      if self.content(of: directory) == content { return "" }
      usleep(100_000)
    }
    throw Fault(
      .unwritable, "this host does not see what rank 0 writes here", at: directory,
      hint: "put the run directory on a file system that all hosts share")
  }

  /// In tenths of a second.
  private static let patience = 50

  /// Takes back what was made, for a run that is refused before it begins.
  func releaseUnused() {
    guard isNew else { return }
    unlink(lock.path)
    rmdir(directory)
  }
}
