import AlignmentCore
import Collectives
import Kernels

/// Finds ranks whose weights are not those of the others: memory that lies, or processors that compute differently.
///
/// A step overwrites the parameters of every rank but their owner's with what the owner sends, so a wrong copy lives from
/// one step to the next at most; what no step sends, a reference or the weights below adapters, stays wrong. The check
/// comes between gradient and update, when a wrong copy has spoilt the gradient but nothing else.
package struct DivergenceCheck {
  private let communicator: any Communicator
  /// Low and high half of the fingerprint, and both negated, so that one maximum gives minimum and maximum.
  private var halves = [Double](repeating: 0, count: 4)

  package init(over communicator: any Communicator) { self.communicator = communicator }

  /// Compares numbers that all ranks should hold; allocates nothing while they are the same.
  ///
  /// - Throws: as ``check(_:)-(UInt64)``.
  package mutating func check(_ views: [FloatView]) throws {
    guard communicator.size > 1 else { return }
    var fingerprint: UInt64 = 0
    for view in views { fingerprint = Fingerprint.of(view, from: fingerprint) }
    try check(fingerprint)
  }

  /// Compares a fingerprint of what should be the same on all ranks.
  ///
  /// - Throws: on every rank, ``Fault`` of kind `diverged` that names the ranks in the minority and their hosts.
  package mutating func check(_ fingerprint: UInt64) throws {
    guard communicator.size > 1 else { return }
    halves[0] = Double(fingerprint & 0xFFFF_FFFF)
    halves[1] = Double(fingerprint >> 32)
    (halves[2], halves[3]) = (-halves[0], -halves[1])
    try halves.withUnsafeMutableBufferPointer { try communicator.allReduce(.maximum, $0) }
    guard halves[0] != -halves[2] || halves[1] != -halves[3] else { return }
    let reports = try communicator.allGather(Array("\(fingerprint) \(Host.name)".utf8))
    throw Self.fault(reports.map { String(decoding: $0, as: UTF8.self).split(separator: " ", maxSplits: 1) })
  }

  /// - Parameters:
  ///   - reports: fingerprint and host of each rank.
  private static func fault(_ reports: [[Substring]]) -> Fault {
    let counts = Dictionary(reports.map { ($0[0], 1) }, uniquingKeysWith: +)
    let common = counts.max { $0.value < $1.value }
    let isMajority = (common?.value ?? 0) * 2 > reports.count
    let odd = reports.indices.filter { !isMajority || reports[$0][0] != common?.key }
    let names = odd.map { "rank \($0) on \(reports[$0][1])" }.joined(separator: ", ")
    let what =
      isMajority
      ? "the weights of \(names) are not those of the other ranks" : "the ranks hold different weights: \(names)"
    return Fault(
      .diverged, what,
      hint:
        "nothing of it was saved; start again, best without a host that does this twice, to go on from the last checkpoint"
    )
  }
}
