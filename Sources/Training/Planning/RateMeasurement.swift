import AlignmentCore
import Checkpoints
import Collectives
import Kernels
import Transformer

#if canImport(Glibc)
  import Glibc
#endif

/// Measures ``MachineRates`` with the ranks of a launch, as a run would use them. Every rank must make the same calls.
package struct RateMeasurement {
  private let communicator: any Communicator
  private let host: String
  private let hosts: [MachineRates.Host]
  /// Ranks of each host, in the order of ``hosts``.
  private let members: [[Int]]

  /// - Parameters:
  ///   - threads: BLAS threads of a rank.
  package init(over communicator: any Communicator, host: String, threads: Int) throws {
    self.communicator = communicator
    self.host = host
    BLAS.threads = threads
    let page = sysconf(Int32(_SC_PAGESIZE))
    let own = [
      host, String(sysconf(Int32(_SC_NPROCESSORS_ONLN))), String(sysconf(Int32(_SC_PHYS_PAGES)) * page),
      String(ProcessMemory.available),
    ]
    let rows = try communicator.allGather(Array(own.joined(separator: "\n").utf8)).map {
      String(decoding: $0, as: UTF8.self).split(separator: "\n").map(String.init)
    }
    let names = Set(rows.map { $0[0] }).sorted()
    members = names.map { name in rows.indices.filter { rows[$0][0] == name } }
    hosts = zip(names, members).map { name, ranks in
      let first = rows[ranks[0]]
      return MachineRates.Host(
        name: name, ranks: ranks.count, cores: Int(first[1]) ?? 1, memory: Int(first[2]) ?? 0,
        available: Int(first[3]) ?? 0)
    }
  }

  /// All rates, the same on every rank.
  ///
  /// - Parameters:
  ///   - directory: where files are written for the rate of the disk; nil leaves it out.
  package func run(directory: String?) throws -> MachineRates {
    let alone = try onFirstRank { BLAS.measureRate() * 1e9 }
    let products = try slowest { BLAS.measureRate(runs: 24) * 1e9 }
    let process = Int(try communicator.allReduce(.maximum, Double(ProcessMemory.resident)))
    let bandwidth = try slowest { try Self.memoryBandwidth() }
    let efficiency = try slowest { try StandardUnit().rate() } / products
    let local = members.first { $0.count > 1 }
    return MachineRates(
      hosts: hosts, threads: BLAS.threads, productsAlone: alone, products: products, memoryBandwidth: bandwidth,
      unitEfficiency: efficiency, process: process, local: try local.map { try ring($0) },
      remote: try members.count > 1 ? ring(members.map { $0[0] }) : nil, disk: try directory.map { try disk($0) })
  }

  /// What rank 0 measures while the others wait.
  private func onFirstRank(_ body: () throws -> Double) throws -> Double {
    try communicator.barrier()
    let value = try communicator.rank == 0 ? body() : 0
    return try communicator.allReduce(.sum, value)
  }

  /// What the slowest rank measures while all do.
  private func slowest(_ body: () throws -> Double) throws -> Double {
    try communicator.barrier()
    return try communicator.allReduce(.minimum, body())
  }

  /// Bytes a second of y ← y + a·x on arenas that no cache holds: two read, one written.
  static func memoryBandwidth() throws -> Double {
    let count = 1 << 24
    let (x, y) = (
      try FloatBuffer(count: count, purpose: "measurement"), try FloatBuffer(count: count, purpose: "measurement")
    )
    let seconds = fastest(of: 6) { Elementwise.addScaled(x.view.base, by: 0.5, into: y.view.base, count: count) }
    return Double(3 * count * MemoryLayout<Float>.stride) / seconds
  }

  static func fastest(of runs: Int, _ body: () throws -> Void) rethrows -> Double {
    var best = Double.infinity
    for _ in 0..<runs {
      let start = MonotonicClock.seconds
      try body()
      best = min(best, MonotonicClock.seconds - start)
    }
    return best
  }
}

// MARK: - Messages

extension RateMeasurement {
  /// Bytes of a long message, that of a piece of the ring of a reduction.
  private static let message = 4 << 20

  /// The slowest link of a ring of some ranks, each of which sends to the next while it receives from the one before.
  private func ring(_ ranks: [Int]) throws -> MachineRates.Link {
    let latency = try time(ranks, bytes: 8, repeats: 200)
    let seconds = try time(ranks, bytes: Self.message, repeats: 8)
    return MachineRates.Link(latency: latency, bandwidth: Double(Self.message) / seconds)
  }

  /// Seconds of an exchange of the slowest rank: the least of several rounds.
  private func time(_ ranks: [Int], bytes: Int, repeats: Int) throws -> Double {
    let place = ranks.firstIndex(of: communicator.rank)
    let outgoing = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 64)
    let incoming = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 64)
    defer {
      outgoing.deallocate()
      incoming.deallocate()
    }
    outgoing.initializeMemory(as: UInt8.self, repeating: 1)
    incoming.initializeMemory(as: UInt8.self, repeating: 0)
    var best = Double.infinity
    for _ in 0..<5 {
      try communicator.barrier()
      let start = MonotonicClock.seconds
      if let place {
        let (next, previous) = (ranks[(place + 1) % ranks.count], ranks[(place + ranks.count - 1) % ranks.count])
        for _ in 0..<repeats {
          try communicator.exchange(
            send: UnsafeRawBufferPointer(outgoing), to: next, receive: incoming, from: previous)
        }
      }
      let own = place == nil ? 0 : (MonotonicClock.seconds - start) / Double(repeats)
      best = min(best, try communicator.allReduce(.maximum, own))
    }
    return best
  }
}

// MARK: - Disk

extension RateMeasurement {
  private static let fileBytes = 32 << 20

  /// What a directory takes when every rank writes a file of its own, as for a checkpoint.
  private func disk(_ directory: String) throws -> MachineRates.Disk {
    try communicator.doOnRankZero { try FileSystem.makeDirectory(directory) }
    let path = "\(directory)/.adalign-doctor-\(getpid())-\(communicator.rank)"
    let bytes = [UInt8](repeating: 0x5A, count: Self.fileBytes)
    let (small, large) = (
      try slowest(path) { try AtomicFile.write(path, [0]) }, try slowest(path) { try AtomicFile.write(path, bytes) }
    )
    return MachineRates.Disk(
      directory: directory, bandwidth: Double(Self.fileBytes * communicator.size) / large, latency: small)
  }

  /// Seconds until the slowest rank has written its file, which goes away; every rank throws what any of them meets.
  private func slowest(_ path: String, _ write: () throws -> Void) throws -> Double {
    try communicator.barrier()
    var seconds = 0.0
    let report = Agreement.report {
      seconds = try Self.fastest(of: 2, write)
      try FileSystem.removeTree(path)
      return ""
    }
    for (rank, message) in try communicator.allGather(report).enumerated() {
      _ = try Agreement.result(of: message, rank: rank)
    }
    return try communicator.allReduce(.maximum, seconds)
  }
}

/// Memory of this process and its host.
enum ProcessMemory {
  /// Bytes that are in memory.
  static var resident: Int {
    let fields = firstBytes(of: "/proc/self/statm").split(separator: " ")
    return (fields.count > 1 ? Int(fields[1]) ?? 0 : 0) * sysconf(Int32(_SC_PAGESIZE))
  }

  /// Bytes that the host can still give, page cache included.
  static var available: Int {
    let line = firstBytes(of: "/proc/meminfo").split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
    return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) << 10
  }

  /// The beginning of a file of the kernel, which has no size; empty if it cannot be read.
  private static func firstBytes(of path: String) -> String {
    guard let file = fopen(path, "r") else { return "" }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes.prefix(count), as: UTF8.self)
  }
}
