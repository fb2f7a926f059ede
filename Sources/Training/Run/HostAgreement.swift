import AlignmentCore
import Collectives

/// What the first rank of a host found out for all ranks there.
package struct HostFinding: Equatable, Sendable {
  package let host: String
  package let text: String
}

extension Communicator {
  /// Runs `body` on the first rank of each host and gives what they found to every rank, rank 0's host first.
  ///
  /// - Throws: on every rank, the fault of the first host that has one, with its name.
  package func onEachHost(_ body: () throws -> String) throws -> [HostFinding] {
    let messages = try allGather(hostRank == 0 ? Array("\(Host.name) ".utf8) + Agreement.report(body) : [])
    return try messages.filter { !$0.isEmpty }.map { message in
      let host = String(decoding: message.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)
      let report = message.dropFirst(host.utf8.count + 1)
      return HostFinding(host: host, text: try Agreement.result(of: report, from: messages.count > 1 ? host : ""))
    }
  }

  /// Refuses to go on where a host finds another text than rank 0's host: files of the same name need not be the same.
  ///
  /// - Parameters:
  ///   - what: names what must be the same, as in "another model".
  ///   - body: called once for each host; gives a digest or a short text.
  /// - Returns: what all hosts found, on every rank.
  @discardableResult
  package func agree(
    on what: String, at place: String, _ kind: Fault.Kind, hint: String, _ body: () throws -> String
  ) throws -> String {
    let findings = try onEachHost(body)
    let first = findings[0]
    guard let other = findings.first(where: { $0.text != first.text }) else { return first.text }
    let (own, others) = (HostAgreement.brief(other.text), HostAgreement.brief(first.text))
    throw Fault(
      kind, "\(HostAgreement.names(findings)) another \(what) than \(first.host): \(own) instead of \(others)",
      at: place, hint: hint)
  }
}

/// Words of a disagreement.
private enum HostAgreement {
  private static let digestDigits = 64
  private static let mostNames = 4

  /// Enough of a digest to tell it from another one; other texts as they are.
  static func brief(_ text: String) -> String {
    text.utf8.count == digestDigits ? "digest \(text.prefix(12))…" : "\"\(text)\""
  }

  /// The hosts that differ from the first, and their verb.
  static func names(_ findings: [HostFinding]) -> String {
    let different = findings.filter { $0.text != findings[0].text }.map(\.host)
    let named = different.prefix(mostNames).joined(separator: ", ")
    let rest = different.count > mostNames ? " and \(different.count - mostNames) more" : ""
    return named + rest + (different.count > 1 ? " have" : " has")
  }
}
