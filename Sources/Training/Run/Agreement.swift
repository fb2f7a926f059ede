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
    try result(of: message, from: rank == 0 ? "" : "rank \(rank)")
  }

  /// The text, or throws the fault with the place it came from.
  static func result(of message: some Collection<UInt8>, from place: String) throws -> String {
    let parts = String(decoding: message, as: UTF8.self).split(
      separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
    let text = parts.count > 1 ? String(parts[1]) : ""
    guard parts[0] != "ok" else { return text }
    throw Fault(Int32(parts[0]).flatMap(Fault.Kind.init) ?? .unwritable, text, at: place)
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

  /// As ``onRankZero(_:)``, for work that bounds its own time but may outlast the others' watchdogs: rank 0 does it in a
  /// thread of its own and tells them every second that it is alive.
  ///
  /// - Parameters:
  ///   - body: must not call MPI.
  func onRankZeroAtLength(_ body: @escaping () throws -> String) throws -> String {
    let task = rank == 0 ? BackgroundTask { Agreement.report(body) } : nil
    var message: [UInt8] = []
    // An empty message says that the work goes on.
    while message.isEmpty {
      let own = task.map { $0.wait(seconds: 1) ? $0.result() : [] } ?? []
      message = try broadcast(own)
      Watchdog.progress()
    }
    return try Agreement.result(of: message, rank: 0)
  }

  /// As ``doOnRankZero(_:)``, for work that may outlast the others' watchdogs.
  func doOnRankZeroAtLength(_ body: @escaping () throws -> Void) throws {
    _ = try onRankZeroAtLength {
      try body()
      return ""
    }
  }

  /// What rank 0 finds.
  func agree(_ condition: () -> Bool) throws -> Bool {
    try broadcast(rank == 0 ? [condition() ? 1 : 0] : []) == [1]
  }
}
