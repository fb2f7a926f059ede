import AlignmentCore
import Collectives
import Testing
import Training

@Suite struct DivergenceTests {
  /// What each rank says when ranks have these fingerprints.
  private func messages(_ fingerprints: [UInt64]) throws -> [String] {
    try LocalCommunicator.run(ranks: fingerprints.count) { communicator in
      var check = DivergenceCheck(over: communicator)
      do {
        try check.check(fingerprints[communicator.rank])
        return ""
      } catch let fault as Fault where fault.kind == .diverged {
        return fault.what
      }
    }
  }

  @Test(arguments: [[7], [7, 7, 7], [.max, .max]] as [[UInt64]])
  func equalFingerprintsPass(fingerprints: [UInt64]) throws {
    #expect(try messages(fingerprints) == fingerprints.map { _ in "" })
  }

  // A difference in either half, and in the lowest bits, which a Double of 64 bits would lose.
  @Test(arguments: [7 ^ 1, 7 ^ 1 << 63, 7 ^ 1 << 32] as [UInt64])
  func theOddOneIsNamedOnEveryRank(other: UInt64) throws {
    let host = Host.name
    let expected = "the weights of rank 1 on \(host) are not those of the other ranks"
    #expect(try messages([7, other, 7]) == [expected, expected, expected])
  }

  @Test func twoCannotTellWhichIsWrong() throws {
    let host = Host.name
    let expected = "the ranks hold different weights: rank 0 on \(host), rank 1 on \(host)"
    #expect(try messages([1, 2]) == [expected, expected])
  }
}
