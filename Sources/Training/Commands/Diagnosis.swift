import AlignmentCore
import Collectives
import Kernels

#if canImport(Glibc)
  import Glibc
#endif

/// What every rank found out about its machine, gathered for `adalign doctor`.
package struct Diagnosis {
  private let ranks: [RankDiagnosis]

  /// Measures on all ranks at once, as a run would use them.
  package init(over communicator: any Communicator, host: String) throws {
    BLAS.threads = Self.requestedThreads
    try communicator.barrier()
    let own = RankDiagnosis(host: host)
    ranks = try communicator.allGather(Array(own.line.utf8)).map {
      RankDiagnosis(line: String(decoding: $0, as: UTF8.self))
    }
  }

  /// BLAS threads that the environment asks for; 1 if it says nothing.
  package static var requestedThreads: Int {
    getenv("OPENBLAS_NUM_THREADS").flatMap { Int(String(cString: $0)) } ?? 1
  }

  /// The report with what was measured, warnings last.
  package func text(with rates: MachineRates) -> String {
    var lines = ["ranks      \(ranks.count) on \(Set(ranks.map(\.host)).count) host(s)"]
    for (rank, d) in ranks.enumerated() {
      lines.append(
        "  rank \(rank)   \(d.host): \(d.allowedCores) of \(d.hostCores) cores allowed, \(d.threads) BLAS thread(s), sgemm "
          + "\(d.gigaflops.brief) GFLOP/s")
    }
    lines.append("BLAS       \(BLAS.description) (\(BLAS.core))")
    lines.append(
      "memory     \(ranks[0].totalMemory >> 20) MiB in all, \(ranks[0].freeMemory >> 20) MiB available on \(ranks[0].host)"
    )
    return lines.joined(separator: "\n") + "\n" + rates.text + warnings.map { "warning: \($0)\n" }.joined()
  }

  private var warnings: [String] {
    var found: [String] = []
    for host in Set(ranks.map(\.host)).sorted() {
      let local = ranks.filter { $0.host == host }
      let wanted = local.reduce(0) { $0 + $1.threads }
      if wanted > local[0].hostCores {
        found.append(
          "\(host): \(local.count) ranks × threads need \(wanted) cores, there are \(local[0].hostCores) — start fewer ranks, or pass --mca mpi_yield_when_idle 1"
        )
      }
      for d in local where d.threads > d.allowedCores {
        found.append(
          "\(host): a rank with \(d.threads) BLAS threads is bound to \(d.allowedCores) core(s) — pass --bind-to none or --map-by slot:PE=\(d.threads)"
        )
      }
      if local.count == 1, local[0].hostCores > local[0].threads {
        found.append(
          "\(host): \(local[0].hostCores) cores, but one rank of \(local[0].threads) thread(s) — start more ranks with mpirun -n \(local[0].hostCores)"
        )
      }
    }
    return found
  }
}

/// One rank's findings, in a form that travels.
private struct RankDiagnosis {
  let host: String
  let hostCores: Int
  let allowedCores: Int
  let threads: Int
  let gigaflops: Double
  let totalMemory: Int
  let freeMemory: Int

  init(host: String) {
    self.host = host
    hostCores = sysconf(Int32(_SC_NPROCESSORS_ONLN))
    allowedCores = BLAS.allowedCores
    threads = BLAS.threads
    gigaflops = BLAS.measureRate()
    let page = sysconf(Int32(_SC_PAGESIZE))
    totalMemory = sysconf(Int32(_SC_PHYS_PAGES)) * page
    freeMemory = sysconf(Int32(_SC_AVPHYS_PAGES)) * page
  }

  var line: String {
    "\(host) \(hostCores) \(allowedCores) \(threads) \(gigaflops) \(totalMemory) \(freeMemory)"
  }

  init(line: String) {
    let fields = line.split(separator: " ").map(String.init)
    host = fields[0]
    hostCores = Int(fields[1]) ?? 0
    allowedCores = Int(fields[2]) ?? 0
    threads = Int(fields[3]) ?? 0
    gigaflops = Double(fields[4]) ?? 0
    totalMemory = Int(fields[5]) ?? 0
    freeMemory = Int(fields[6]) ?? 0
  }
}
