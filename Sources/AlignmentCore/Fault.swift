/// A fault of the world outside the program: a file, a configuration, the environment.
///
/// Every fault says what is wrong, where, and what to do about it. Bugs of our own callers are preconditions instead.
package struct Fault: Error, Sendable, CustomStringConvertible {
  /// What kind of fault it is; the raw value is the exit code of the program (all inside 1…125, as MPI needs).
  package enum Kind: Int32, Sendable {
    /// The command line is wrong (`EX_USAGE`).
    case usage = 64
    /// Input data are malformed or do not fit together (`EX_DATAERR`).
    case data = 65
    /// An input file or directory is missing or unreadable (`EX_NOINPUT`).
    case missingInput = 66
    /// The machine or the MPI environment is not as needed (`EX_UNAVAILABLE`).
    case environment = 69
    /// Hosts run different programs or libraries, or were asked for different things (`EX_SOFTWARE`).
    case mismatch = 70
    /// Memory or another resource of the system ran out (`EX_OSERR`).
    case resource = 71
    /// The configuration is wrong.
    case configuration = 72
    /// An output cannot be written (`EX_CANTCREAT`).
    case unwritable = 73
    /// Nothing gets on: a peer hangs, or checkpoints fail again and again. Starting again may help.
    case noProgress = 74
    /// Saved on request; starting again goes on.
    case interrupted = 75
    /// A loss, gradient or weight is not finite.
    case nonFinite = 76
    /// Ranks hold different weights.
    case diverged = 77
  }

  package let kind: Kind
  /// What is wrong, in one sentence without a full stop.
  package let what: String
  /// File, line, tensor or key concerned; empty if there is none.
  package let location: String
  /// What the reader can do about it.
  package let hint: String

  package init(_ kind: Kind, _ what: String, at location: String = "", hint: String = "") {
    self.kind = kind
    self.what = what
    self.location = location
    self.hint = hint
  }

  package var description: String {
    (location.isEmpty ? "" : "\(location): ") + what + (hint.isEmpty ? "" : " — \(hint)")
  }
}
