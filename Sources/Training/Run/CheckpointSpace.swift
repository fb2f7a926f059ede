import AlignmentCore
import Checkpoints
import Logging

#if canImport(Glibc)
  import Glibc
#endif

/// Whether the checkpoints of a run will fit on its file system.
enum CheckpointSpace {
  /// Headers and manifest of a checkpoint.
  private static let overhead = 1 << 16

  /// Looks before the first step; quotas cannot be seen like this.
  ///
  /// - Parameters:
  ///   - bytes: of one checkpoint.
  ///   - held: checkpoints that are there already.
  ///   - modelBytes: of the final model.
  /// - Throws: ``Fault`` of kind `unwritable` where not even one fits.
  static func check(_ directory: String, bytes: Int, keep: Int, held: Int, modelBytes: Int) throws {
    guard let free = freeBytes(directory) else { return }
    let one = bytes + overhead
    guard free >= one else {
      throw Fault(
        .unwritable, "a checkpoint needs \(text(one)), and \(text(free)) are free", at: directory,
        hint: "free space, or choose another run directory")
    }
    // An old checkpoint goes only after the new one is there.
    let all = one * max(keep + 1 - held, 1) + modelBytes
    guard free < all else { return }
    log.warning(
      "\(directory): \(keep) checkpoints and the model need \(text(all)), and \(text(free)) are free; checkpoints may fail"
    )
  }

  private static func freeBytes(_ directory: String) -> Int? {
    var status = statvfs()
    // Some file systems in user space do not tell.
    guard statvfs(directory, &status) == 0, status.f_blocks > 0 else { return nil }
    return Int(status.f_bavail) * Int(status.f_frsize)
  }

  private static func text(_ bytes: Int) -> String {
    bytes >= 10 << 20 ? "\(bytes >> 20) MiB" : "\((bytes + 1023) >> 10) KiB"
  }
}
