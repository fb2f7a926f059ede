import AlignmentCore
import Collectives
import Synchronization
import Testing
import Training

/// Ranks on several hosts, which here are threads that say so.
@Suite struct HostAgreementTests {
  @Test(
    "the first rank of each host looks, and every rank learns what all hosts found", arguments: [(4, 2, 2), (5, 2, 3)])
  func looks(ranks: Int, ranksPerHost: Int, hosts: Int) throws {
    let calls = Atomic(0)
    let findings = try LocalCommunicator.run(ranks: ranks, ranksPerHost: ranksPerHost) { communicator in
      try communicator.onEachHost {
        calls.add(1, ordering: .relaxed)
        return "rank \(communicator.rank)"
      }
    }
    #expect(calls.load(ordering: .relaxed) == hosts)
    for found in findings {
      #expect(found.map(\.text) == (0..<hosts).map { "rank \($0 * ranksPerHost)" })
      #expect(found.allSatisfy { $0.host == Host.name })
    }
  }

  @Test("what all hosts find alike is given to every rank")
  func agreement() throws {
    let agreed = try LocalCommunicator.run(ranks: 3, ranksPerHost: 1) { communicator in
      try communicator.agree(on: "model", at: "here", .data, hint: "") { "the same" }
    }
    #expect(agreed == ["the same", "the same", "the same"])
  }

  @Test("a host that differs is a fault on every rank, which names it")
  func disagreement() throws {
    let faults = try faults(ranks: 3) { communicator in
      try communicator.agree(on: "model", at: "here", .data, hint: "do") { communicator.rank == 2 ? "b" : "a" }
    }
    for fault in faults {
      #expect(fault.kind == .data)
      #expect(
        fault.description == "here: \(Host.name) has another model than \(Host.name): \"b\" instead of \"a\" — do")
    }
  }

  @Test("a fault of one host is thrown on every rank with the host's name")
  func faultOfOne() throws {
    let faults = try faults(ranks: 2) { communicator in
      _ = try communicator.onEachHost {
        guard communicator.rank == 0 else { throw Fault(.missingInput, "is missing", at: "file") }
        return ""
      }
    }
    for fault in faults {
      #expect(fault.kind == .missingInput)
      #expect(fault.description == "\(Host.name): file: is missing")
    }
  }

  private func faults(ranks: Int, _ body: @escaping (LocalCommunicator) throws -> Void) throws -> [Fault] {
    try LocalCommunicator.run(ranks: ranks, ranksPerHost: 1) { communicator in
      do {
        try body(communicator)
      } catch let fault as Fault {
        return fault
      }
      return Fault(.usage, "no fault was thrown")
    }
  }
}
