import AlignmentCore
import Checkpoints
import JSON

#if canImport(Glibc)
  import Glibc
#endif

/// `metrics.jsonl` of a run: one object for each optimiser step.
final class MetricsLog {
  private let path: String
  private var file: UnsafeMutablePointer<FILE>?
  private var hasWarned = false

  /// Opens the log and drops rows after a step, which a resumed run will write again.
  init(path: String, keepingSteps last: Int) throws {
    self.path = path
    let kept = FileSystem.exists(path) ? try Self.rows(of: path, upTo: last) : []
    try AtomicFile.write(path, kept)
    file = fopen(path, "a")
    guard file != nil else { throw Fault(.unwritable, "cannot open: \(String(cString: strerror(errno)))", at: path) }
  }

  deinit { if let file { fclose(file) } }

  /// Appends a row; a full disk costs the row and a warning, not the run.
  func append(_ members: [(String, JSONValue)]) {
    let row = JSONValue.object(JSONObject(members.map { (ByteString($0.0), $0.1) }))
    let bytes = row.serialized() + [UInt8(ascii: "\n")]
    let written = fwrite(bytes, 1, bytes.count, file)
    guard written != bytes.count || fflush(file) != 0, !hasWarned else { return }
    hasWarned = true
    log.warning("\(path): cannot be written (\(String(cString: strerror(errno)))); training goes on")
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
