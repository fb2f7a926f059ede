#if canImport(Glibc)
  import Glibc
#endif

/// Text for people, written in one piece so that the lines of several ranks do not mix.
package enum StandardError {
  package static func write(_ text: String) {
    let bytes = Array(text.utf8)
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress! + sent, bytes.count - sent) }
      // A closed or full stderr must not stop the run.
      guard count > 0 else { return }
      sent += count
    }
  }
}
