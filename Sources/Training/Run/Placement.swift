import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Logging

/// Where the ranks of a run are and what they may use there, gathered when it begins.
package struct Placement {
  /// The ranks of one host.
  package struct HostPlacement: Sendable, Equatable {
    package let name: String
    package let ranks: [Int]
    package let facts: [RankFacts]
  }

  package let hosts: [HostPlacement]

  /// Asks every rank.
  ///
  /// - Parameters:
  ///   - threads: of each rank.
  package init(over communicator: any Communicator, threads: Int) throws {
    let own = RankFacts(threads: threads)
    let lines = try communicator.allGather(Array("\(Host.name)\n\(own.line)".utf8))
    self.init(
      lines.map {
        let parts = String(decoding: $0, as: UTF8.self).split(separator: "\n").map(String.init)
        return (parts[0], RankFacts(line: parts[1]))
      })
  }

  /// - Parameters:
  ///   - ranks: host and facts, in the order of ranks.
  package init(_ ranks: [(host: String, facts: RankFacts)]) {
    var order: [String] = []
    for rank in ranks where !order.contains(rank.host) { order.append(rank.host) }
    hosts = order.map { name in
      let local = ranks.indices.filter { ranks[$0].host == name }
      return HostPlacement(name: name, ranks: local, facts: local.map { ranks[$0].facts })
    }
  }

  /// Tells people; to be called on rank 0.
  package func announce() {
    for host in hosts { log.info("\(host.summary)") }
    for warning in warnings { log.warning("\(warning)") }
  }

  /// Makes `placement.json` appear in the run directory; to be called on rank 0.
  package func write(to directory: String) throws {
    try AtomicFile.write("\(directory)/placement.json", json.serialized(pretty: true) + [UInt8(ascii: "\n")])
  }

  /// What costs much and is easily mended.
  package var warnings: [String] { hosts.flatMap(\.warnings) }

  private var json: JSONValue {
    .object(
      JSONObject([
        ("hosts", .array(hosts.map { .object($0.json) })),
        ("warnings", .array(warnings.map { .string(ByteString($0)) })),
      ]))
  }
}

// MARK: - A host

extension Placement.HostPlacement {
  /// CPUs of the machine, which are hardware threads.
  private var cpus: Int { facts[0].cpus }

  /// CPUs that at least one rank may use.
  private var usable: Set<Int> { facts.reduce(into: []) { $0.formUnion($1.allowed) } }

  /// CPU time that all ranks can have at once, in CPUs.
  private var supply: Double { min(Double(usable.count), facts[0].quota ?? .infinity) }

  private var threads: Int { facts.reduce(0) { $0 + $1.threads } }

  /// One line for people.
  package var summary: String {
    let numbers = ranks.count == 1 ? "rank \(ranks[0])" : "ranks \(Self.ranges(ranks))"
    let each = Set(facts.map(\.threads)).sorted().map(String.init).joined(separator: " or ")
    let bound = Set(facts.map(\.allowed.count)).sorted().map(String.init).joined(separator: " or ")
    let limit = facts[0].quota.map { ", \($0.brief) CPUs of time" } ?? ""
    return
      "\(name): \(numbers), \(each) thread\(each == "1" ? "" : "s") each on \(bound) of \(cpus) CPUs\(limit), \(facts[0].memory >> 20) MiB of memory"
  }

  var json: JSONObject {
    let integers = { (values: [Int]) in JSONValue.array(values.map { .integer(Int64($0)) }) }
    return JSONObject([
      ("host", .string(ByteString(name))), ("ranks", integers(ranks)), ("cpus", .integer(Int64(cpus))),
      ("allowed_cpus", integers(facts.map(\.allowed.count))),
      ("cpu_quota", facts[0].quota.map(JSONValue.double) ?? .null),
      ("threads", integers(facts.map(\.threads))), ("memory_bytes", .integer(Int64(facts[0].memory))),
      ("available_bytes", .integer(Int64(facts[0].availableMemory))),
    ])
  }

  var warnings: [String] {
    [crowding, binding, loneliness, idleThreads].compactMap { $0 }.map { "\(name): \($0)" }
  }

  /// More threads than CPUs: all of them wait for each other.
  private var crowding: String? {
    guard Double(threads) > supply else { return nil }
    let (count, what) = (ranks.count, "\(threads) threads share \(supply.brief) CPUs")
    if let quota = facts[0].quota, quota < Double(usable.count) {
      return "\(what), the quota of the container — start \(max(1, Int(quota))) ranks, or raise its CPU limit"
    }
    guard usable.count >= min(cpus, threads) || binding == nil else { return nil }
    let remedy = usable.count < cpus ? "pass --bind-to none, or " : ""
    return "\(what) in \(count) rank\(count == 1 ? "" : "s") — \(remedy)start fewer ranks or threads"
  }

  /// Threads that a binding squeezes onto fewer CPUs than they are.
  private var binding: String? {
    guard let index = facts.firstIndex(where: { $0.threads > $0.allowed.count && $0.allowed.count < $0.cpus }) else {
      return nil
    }
    let rank = facts[index]
    return
      "rank \(ranks[index]) has \(rank.threads) threads and is bound to \(rank.allowed.count) of \(rank.cpus) CPUs — pass --bind-to none or --map-by slot:PE=\(rank.threads)"
  }

  /// A single rank on a single CPU of many, as `mpirun -n 1` binds it.
  private var loneliness: String? {
    guard ranks.count == 1, facts[0].threads == 1, usable.count == 1, cpus > 1 else { return nil }
    return
      "the only rank is bound to 1 of \(cpus) CPUs — start more ranks, or pass --bind-to none and set threads=\(cpus)"
  }

  /// Threads that OpenBLAS starts when it is loaded and that nobody ever uses, in all ranks together.
  private var idleThreads: String? {
    let idle = facts.reduce(0) { $0 + ($1.limitsBLAS ? 0 : max(0, $1.allowed.count - $1.threads)) }
    guard ranks.count > 1, idle >= Self.manyIdleThreads else { return nil }
    return "\(idle) idle BLAS threads — set OPENBLAS_NUM_THREADS, with mpirun's -x for other hosts"
  }

  /// As many as may meet a limit of processes; each also has memory of its own.
  private static let manyIdleThreads = 256

  /// "0-3, 5" for 0, 1, 2, 3, 5.
  private static func ranges(_ numbers: [Int]) -> String {
    var runs: [ClosedRange<Int>] = []
    for number in numbers {
      if let last = runs.last, last.upperBound + 1 == number {
        runs[runs.count - 1] = last.lowerBound...number
      } else {
        runs.append(number...number)
      }
    }
    return runs.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ", ")
  }
}
