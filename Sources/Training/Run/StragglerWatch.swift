import AlignmentCore
import Collectives

#if canImport(Glibc)
  import Glibc
#endif

/// Finds ranks that compute much more slowly than the others, and says so once.
package struct StragglerWatch {
  /// Slowness relative to the median from which on a rank is named, and below which it counts as recovered.
  private static let threshold = 1.5
  private static let recovery = 1.25
  /// Steps in a row that a rank must be slow, or quick again.
  private static let patience = 5
  /// Steps that take less say nothing of hosts.
  private static let shortestSeconds = 0.05

  private struct Rank {
    let host: String
    var slowSteps = 0
    var quickSteps = 0
    /// The slowness that was told last; nil for a rank that nothing was told of.
    var told: Double?
  }

  private var ranks: [Rank]
  private let sharesWork: Bool

  /// - Parameters:
  ///   - hosts: of each rank.
  ///   - sharesWork: whether slow ranks are dealt fewer units.
  package init(hosts: [String], sharesWork: Bool) {
    ranks = hosts.map { Rank(host: $0) }
    self.sharesWork = sharesWork
  }

  /// Asks every rank for its host; all must come here.
  init(over communicator: any Communicator, sharesWork: Bool) throws {
    let names = try communicator.allGather(Array(Host.name.utf8))
    self.init(hosts: names.map { String(decoding: $0, as: UTF8.self) }, sharesWork: sharesWork)
  }

  /// What is to be said after a step.
  ///
  /// - Parameters:
  ///   - slowness: of each rank relative to the median; empty while unknown.
  ///   - seconds: that the step was computed for.
  package mutating func remarks(on slowness: [Double], seconds: Double) -> [String] {
    guard seconds >= Self.shortestSeconds, ranks.count > 1 else { return [] }
    return slowness.indices.compactMap { remark(on: $0, slowness[$0]) }
  }

  private mutating func remark(on index: Int, _ slowness: Double) -> String? {
    ranks[index].slowSteps = slowness > Self.threshold ? ranks[index].slowSteps + 1 : 0
    ranks[index].quickSteps = slowness < Self.recovery ? ranks[index].quickSteps + 1 : 0
    let name = "rank \(index) on \(ranks[index].host)"
    let consequence = sharesWork ? "it is dealt fewer units" : "reduction=exact would deal it fewer units"
    switch ranks[index].told {
    case nil where ranks[index].slowSteps >= Self.patience:
      ranks[index].told = slowness
      return "\(name) computes \(slowness.brief) times as long as the median of all ranks; \(consequence)"
    case let told? where slowness > told * Self.threshold && ranks[index].slowSteps >= Self.patience:
      ranks[index].told = slowness
      return "\(name) has become slower: \(slowness.brief) times as long as the median, \(told.brief) before"
    case .some where ranks[index].quickSteps >= Self.patience:
      ranks[index].told = nil
      return "\(name) is as fast as the others again"
    default: return nil
    }
  }
}
