import AlignmentCore
import Collectives

/// A text or a fault as bytes that travel between ranks.
enum Agreement {
  static func report(_ body: () throws -> String) -> [UInt8] {
    do {
      return Array("ok \(try body())".utf8)
    } catch let fault as Fault {
      return Array("\(fault.kind.rawValue) \(fault)".utf8)
    } catch {
      return Array("\(Fault.Kind.unwritable.rawValue) \(error)".utf8)
    }
  }

  /// The text, or throws the fault.
  static func result(of message: [UInt8], rank: Int) throws -> String {
    let parts = String(decoding: message, as: UTF8.self).split(
      separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
    let text = parts.count > 1 ? String(parts[1]) : ""
    guard parts[0] != "ok" else { return text }
    throw Fault(Int32(parts[0]).flatMap(Fault.Kind.init) ?? .unwritable, text, at: rank == 0 ? "" : "rank \(rank)")
  }
}

extension Communicator {
  /// Runs `body` on rank 0 and gives its text, or its fault, to every rank.
  func onRankZero(_ body: () throws -> String) throws -> String {
    let message = rank == 0 ? Agreement.report(body) : []
    return try Agreement.result(of: try broadcast(message), rank: 0)
  }

  /// Runs `body` on rank 0; every rank throws its fault.
  func doOnRankZero(_ body: () throws -> Void) throws {
    _ = try onRankZero {
      try body()
      return ""
    }
  }

  /// What rank 0 finds.
  func agree(_ condition: () -> Bool) throws -> Bool {
    try broadcast(rank == 0 ? [condition() ? 1 : 0] : []) == [1]
  }
}
