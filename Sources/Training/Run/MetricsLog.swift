import AlignmentCore
import Checkpoints
import JSON

#if canImport(Glibc)
  import Glibc
#endif

/// `metrics.jsonl` of a run: one object for each optimiser step.
final class MetricsLog {
  private let path: String
  private let descriptor: Int32
  private var hasWarned = false

  /// Opens the log and drops rows after a step, which a resumed run will write again.
  init(path: String, keepingSteps last: Int) throws {
    self.path = path
    let kept = FileSystem.exists(path) ? try Self.rows(of: path, upTo: last) : []
    try AtomicFile.write(path, kept)
    descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
    guard descriptor >= 0 else { throw Fault.system(.unwritable, "cannot open", path, errno) }
  }

  deinit { close(descriptor) }

  /// Appends a row; a full disk costs the row and one warning, not the run.
  func append(_ members: [(String, JSONValue)]) {
    let row = JSONValue.object(JSONObject(members.map { (ByteString($0.0), $0.1) })).serialized() + [UInt8(ascii: "\n")]
    let written = write(descriptor, row, row.count)
    guard written != row.count else { return }
    let reason = written < 0 ? String(cString: strerror(errno)) : "the disk is full"
    // Half a row would spoil the next one.
    if written > 0 { ftruncate(descriptor, lseek(descriptor, 0, SEEK_END) - off_t(written)) }
    guard !hasWarned else { return }
    hasWarned = true
    log.warning("\(path): cannot be written (\(reason)); training goes on without these rows")
  }

  private static func rows(of path: String, upTo last: Int) throws -> [UInt8] {
    let lines = try FileSystem.readWhole(path).split(separator: UInt8(ascii: "\n"))
    let kept = lines.filter { line in
      guard let step = (try? JSONValue.parse(Array(line)))?["step"]?.intValue else { return false }
      return step <= last
    }
    return kept.flatMap { $0 + [UInt8(ascii: "\n")] }
  }
}
