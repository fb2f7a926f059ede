#if canImport(Glibc)
  import Glibc
#endif

/// Progress as a supervisor outside MPI sees it, which must end an mpirun that hangs: one line in the file that the
/// environment variable `ADALIGN_HEARTBEAT` names.
///
/// The line holds two numbers. After the first, in seconds, without a change the run has to be taken for hanging; 0
/// promises nothing. The second changes with each progress. No clock is written, because hosts disagree about the time.
struct Heartbeat {
  /// Seconds in which ranks that gave up are expected to end by themselves.
  private static let grace = 10

  private let file: Int32
  private var last = ""

  /// Nil on all ranks but the first, and if nobody wants to know.
  init?(rank: Int) {
    guard rank == 0, let path = getenv("ADALIGN_HEARTBEAT"), path.pointee != 0 else { return nil }
    file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
    guard file >= 0 else { return nil }
  }

  /// Writes the line if it changed.
  ///
  /// - Parameters:
  ///   - limit: seconds without progress before the watchdog ends this process; 0 for never.
  ///   - progress: any number that changes with progress.
  mutating func tell(limit: Int, progress: Int) {
    let line = "\(limit > 0 ? limit + Self.grace : 0) \(progress)"
    guard line != last else { return }
    last = line
    // Of fixed width, so that a shorter line leaves nothing of a longer one. Not worth an error: without it the
    // supervisor ends a run that can be started again.
    let padded = String(repeating: " ", count: max(0, 40 - line.utf8.count)) + line + "\n"
    _ = padded.withCString { pwrite(file, $0, padded.utf8.count, 0) }
  }
}
