import AlignmentCore
import Collectives

#if canImport(Glibc)
  import Glibc
#endif

/// Weights that no rank changes once they are loaded: in memory once for all ranks of a host.
///
/// One rank of each host loads them into a ``SharedMapping``, the others map the same pages. A rank that cannot has a copy of its
/// own, and rank 0 says so.
package final class FrozenWeights {
  package let buffer: FloatBuffer
  /// Nil where the copy is this rank's own.
  private let mapping: SharedMapping?
  private let loads: Bool
  private let communicator: any Communicator

  /// Allocates the memory; every rank must come here.
  package init(count: Int, purpose: String, over communicator: any Communicator) throws {
    self.communicator = communicator
    guard communicator.size > 1, !MemoryLedger.isReserving else {
      buffer = try FloatBuffer(count: count, purpose: purpose, isShared: communicator.hostSize > 1)
      (mapping, loads) = (nil, true)
      return
    }
    let bytes = count * MemoryLayout<Float>.stride
    let isFirst = communicator.hostRank == 0
    let attempt = Result {
      try isFirst && communicator.hostSize > 1 ? SharedMapping(bytes: bytes, purpose: purpose) : nil
    }
    let offer = Offer(host: Host.name, attempt)
    let offers = try communicator.allGather(Array(offer.line.utf8)).map {
      Offer(line: String(decoding: $0, as: UTF8.self))
    }
    let (opened, problem) =
      isFirst ? (try? attempt.get(), offer.problem) : Self.open(offers, bytes, purpose)
    mapping = opened
    loads = isFirst || opened == nil
    buffer =
      try opened.map { FloatBuffer(count: count, in: $0, purpose: purpose) }
      ?? FloatBuffer(count: count, purpose: purpose)
    // Which also waits until everyone has opened what they look for.
    try Self.tell(problem, purpose, over: communicator)
    mapping?.closeForOthers()
  }

  /// Fills the memory, by one rank of each host; every rank must come here, and may read afterwards.
  ///
  /// - Throws: on every rank, what any of them could not load.
  package func fill(_ load: (FloatView) throws -> Void) throws {
    guard communicator.size > 1 else { return try load(buffer.view) }
    let report = Agreement.report {
      if loads { try load(buffer.view) }
      return ""
    }
    for (rank, message) in try communicator.allGather(report).enumerated() {
      _ = try Agreement.result(of: message, rank: rank)
    }
    mapping?.protect()
  }

  /// The mapping of a rank on this host; nil if none can be opened, and why.
  private static func open(_ offers: [Offer], _ bytes: Int, _ purpose: String) -> (SharedMapping?, problem: String) {
    var problem = "no rank of the host offers it"
    for offer in offers where offer.host == Host.name {
      guard !offer.ticket.isEmpty else {
        if !offer.problem.isEmpty { problem = offer.problem }
        continue
      }
      do {
        return (try SharedMapping(ticket: offer.ticket, bytes: bytes, purpose: purpose), "")
      } catch {
        problem = "\(error)"
      }
    }
    return (nil, problem)
  }

  /// One line for all ranks that have copies of their own.
  private static func tell(_ problem: String, _ purpose: String, over communicator: any Communicator) throws {
    let problems = try communicator.allGather(Array(problem.utf8)).filter { !$0.isEmpty }
    guard let first = problems.first, communicator.rank == 0 else { return }
    log.notice(
      "\(purpose): \(problems.count) of \(communicator.size) ranks hold a copy of their own (\(String(decoding: first, as: UTF8.self)))"
    )
  }
}

/// What a rank tells the others of the mapping that it has made.
private struct Offer {
  let host: String
  /// How to find the mapping; empty if there is none.
  let ticket: String
  /// Why there is none.
  let problem: String

  init(host: String, _ attempt: Result<SharedMapping?, any Error>) {
    self.host = host
    switch attempt {
    case .success(let mapping): (ticket, problem) = (mapping?.ticket ?? "", "")
    case .failure(let error): (ticket, problem) = ("", "\(error)")
    }
  }

  /// A line of three fields; another one is no offer.
  init(line: String) {
    let fields = line.split(separator: "\n", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
    (host, ticket, problem) = fields.count == 3 ? (fields[0], fields[1], fields[2]) : ("", "", "")
  }

  var line: String { [host, ticket, problem].joined(separator: "\n") }
}
