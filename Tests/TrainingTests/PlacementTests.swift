import AlignmentCore
import Collectives
import Foundation
import Testing
import Training

/// What is said of ranks and their CPUs.
@Suite struct PlacementTests {
  private func facts(
    cpus: Int = 16, allowed: Range<Int>, threads: Int = 1, quota: Double? = nil, limitsBLAS: Bool = true
  ) -> RankFacts {
    RankFacts(
      cpus: cpus, allowed: Set(allowed), quota: quota, threads: threads, limitsBLAS: limitsBLAS, memory: 1 << 30,
      availableMemory: 1 << 29)
  }

  private func warnings(_ facts: [RankFacts]) -> [String] { Placement(facts.map { ("node1", $0) }).warnings }

  @Test("a rank on each CPU, bound or not, is nothing to warn of")
  func fine() {
    #expect(warnings((0..<16).map { facts(allowed: $0..<$0 + 1) }) == [])
    #expect(warnings((0..<4).map { _ in facts(allowed: 0..<16, threads: 4) }) == [])
    #expect(warnings([facts(allowed: 0..<16)]) == [])
    #expect(warnings([facts(cpus: 1, allowed: 0..<1)]) == [])
  }

  @Test("more threads than CPUs")
  func crowded() throws {
    let found = warnings((0..<5).map { _ in facts(cpus: 2, allowed: 0..<2) })
    #expect(found.count == 1)
    #expect(try #require(found.first).hasPrefix("node1: 5 threads share 2.0 CPUs in 5 ranks — start fewer ranks"))
  }

  @Test("ranks that are all bound to the same CPU")
  func sameCPU() throws {
    let found = warnings([facts(allowed: 0..<1), facts(allowed: 0..<1)])
    #expect(found.count == 1)
    #expect(try #require(found.first).contains("2 threads share 1.0 CPUs"))
    #expect(found[0].contains("--bind-to none"))
  }

  @Test("more threads than the CPUs that a rank is bound to")
  func bound() throws {
    let found = warnings([facts(allowed: 0..<1, threads: 4)])
    #expect(found.count == 1)
    #expect(try #require(found.first).contains("rank 0 has 4 threads and is bound to 1 of 16 CPUs"))
    #expect(found[0].contains("--map-by slot:PE=4"))
  }

  @Test("a single rank on one CPU of many")
  func lonely() throws {
    let found = warnings([facts(allowed: 3..<4)])
    #expect(found.count == 1)
    #expect(try #require(found.first).contains("the only rank is bound to 1 of 16 CPUs"))
  }

  @Test("a container's quota counts as CPUs do")
  func quota() throws {
    #expect(warnings((0..<2).map { _ in facts(allowed: 0..<16, quota: 2) }) == [])
    let found = warnings((0..<4).map { _ in facts(allowed: 0..<16, quota: 2.5) })
    #expect(found.count == 1)
    #expect(try #require(found.first).contains("start 2 ranks"))
  }

  @Test("BLAS threads that nobody limits, where they are many")
  func idleThreads() {
    let open = (0..<32).map { _ in facts(cpus: 64, allowed: 0..<64, limitsBLAS: false) }
    #expect(warnings(open).count == 1)
    #expect(warnings(open)[0].contains("OPENBLAS_NUM_THREADS"))
    #expect(warnings(Array(open.prefix(4))) == [])
    #expect(warnings(open.map { facts(cpus: 64, allowed: $0.allowed.min()!..<64) }) == [])
  }

  @Test("hosts are told one by one, in the order of ranks")
  func summary() {
    let node1 = facts(allowed: 0..<16, threads: 2)
    let placement = Placement([("node1", node1), ("node1", node1), ("node2", node1), ("node1", node1)])
    #expect(placement.hosts.map(\.name) == ["node1", "node2"])
    #expect(placement.hosts[0].summary == "node1: ranks 0-1, 3, 2 threads each on 16 of 16 CPUs, 1024 MiB of memory")
    #expect(placement.hosts[1].summary == "node2: rank 2, 2 threads each on 16 of 16 CPUs, 1024 MiB of memory")
  }

  @Test("what a rank finds arrives as it was", arguments: [nil, 2.5])
  func travels(quota: Double?) throws {
    var own = RankFacts(threads: 3)
    own.quota = quota
    #expect(RankFacts(line: own.line) == own)
    let text = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let bits = try #require(text.firstMatch(of: /Cpus_allowed:\s*([0-9a-f,]+)/)).1.filter { $0 != "," }
    #expect(own.allowed.count == bits.reduce(0) { $0 + ($1.hexDigitValue ?? 0).nonzeroBitCount })
    let placements = try LocalCommunicator.run(ranks: 3) { try Placement(over: $0, threads: 2) }
    for placement in placements {
      #expect(placement.hosts.count == 1 && placement.hosts[0].ranks == [0, 1, 2])
      #expect(placement.hosts[0].facts.allSatisfy { $0.threads == 2 && $0.allowed == own.allowed })
    }
  }
}
