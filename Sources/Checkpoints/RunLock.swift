import AlignmentCore
import Glibc

/// Holds a run directory for one job, as long as it lives.
///
/// The lock is `flock` on `RUN/lock`, so it ends with its process and cannot go stale; the text inside only informs.
package final class RunLock {
  /// The lock file.
  package let path: String
  private let descriptor: Int32

  /// Takes the lock; throws `.unwritable` naming the holder if another job has it.
  package init(directory: String) throws {
    path = "\(directory)/lock"
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o666)
    guard descriptor >= 0 else { throw Fault.system(.unwritable, "cannot open lock file", path, errno) }
    do {
      try take()
      try describeHolder()
    } catch {
      close(descriptor)
      throw error
    }
  }

  deinit { close(descriptor) }

  private func take() throws {
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      let code = errno
      if code == EINTR { continue }
      guard code == EWOULDBLOCK else { throw Fault.system(.unwritable, "cannot lock the run directory", path, code) }
      throw Fault(
        .unwritable, "run directory is in use by another job", at: FileSystem.parent(of: path),
        hint: "wait for it or choose another run directory; holder: \(holder())")
    }
  }

  private func describeHolder() throws {
    let job = Self.job.map { " job=\($0)" } ?? ""
    let text = Array("host=\(Host.name) pid=\(getpid())\(job) started=\(Self.timeText())\n".utf8)
    guard ftruncate(descriptor, 0) == 0, pwrite(descriptor, text, text.count, 0) == text.count else {
      throw Fault.system(.unwritable, "cannot write lock file", path, errno)
    }
  }

  private func holder() -> String {
    var buffer = [UInt8](repeating: 0, count: 512)
    let count = pread(descriptor, &buffer, buffer.count, 0)
    let text = buffer.prefix(max(count, 0)).prefix { $0 >= 0x20 && $0 < 0x7f }
    return text.isEmpty ? "unknown" : String(decoding: text, as: UTF8.self)
  }

  /// What the scheduler calls this job: Slurm, PBS, LSF or SGE.
  private static var job: String? {
    for name in ["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID"] as [String] {
      if let text = getenv(name).map({ String(cString: $0) }), !text.isEmpty { return text }
    }
    return nil
  }

  private static func timeText() -> String {
    var now = time(nil)
    var parts = tm()
    gmtime_r(&now, &parts)
    var buffer = [CChar](repeating: 0, count: 64)
    let count = strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
    return String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
