#if canImport(Glibc)
  import Glibc
#endif

/// A list of the arenas that some code allocates: what a plan predicts memory by, so that plan and program cannot differ.
///
/// `@unchecked Sendable`: a ledger belongs to the thread that runs ``listing(_:)`` or ``reserving(_:)`` and is read when that is done.
package final class MemoryLedger: @unchecked Sendable {
  /// An arena.
  package struct Entry: Sendable, Equatable {
    package let purpose: String
    package let bytes: Int
    /// Whether the ranks of a host have it together.
    package let isShared: Bool

    package init(purpose: String, bytes: Int, isShared: Bool = false) {
      self.purpose = purpose
      self.bytes = bytes
      self.isShared = isShared
    }
  }

  @TaskLocal private static var current: MemoryLedger?
  private var entries: [Entry] = []
  private let reserves: Bool

  private init(reserves: Bool) { self.reserves = reserves }

  /// Whether arenas are only listed: their memory is address space that nobody may count on having.
  package static var isReserving: Bool { current?.reserves ?? false }

  /// Runs `body` and lists the arenas that it allocated on this thread, those included that were freed meanwhile.
  package static func listing<T>(_ body: () throws -> T) rethrows -> (result: T, arenas: [Entry]) {
    try run(MemoryLedger(reserves: false), body)
  }

  /// The same, but no page of an arena is touched until `body` does: what it builds is as large as the real thing and
  /// takes no memory.
  package static func reserving<T>(_ body: () throws -> T) rethrows -> (result: T, arenas: [Entry]) {
    try run(MemoryLedger(reserves: true), body)
  }

  private static func run<T>(_ ledger: MemoryLedger, _ body: () throws -> T) rethrows -> (result: T, arenas: [Entry]) {
    let result = try $current.withValue(ledger, operation: body)
    return (result, ledger.entries)
  }

  static func note(_ entry: @autoclosure () -> Entry) {
    guard let current else { return }
    current.entries.append(entry())
  }
}
