import AlignmentCore
import Checkpoints

#if canImport(Glibc)
  import Glibc
#endif

/// What a rank knows of its place.
package struct RankFacts: Sendable, Equatable {
  /// CPUs of the machine, which are hardware threads.
  package var cpus: Int
  /// Numbers of the CPUs that the rank may run on.
  package var allowed: Set<Int>
  /// CPU time that its control group may use, in CPUs; nil without a limit.
  package var quota: Double?
  package var threads: Int
  /// Whether the environment says how many threads OpenBLAS starts.
  package var limitsBLAS: Bool
  /// Bytes of the machine, and those that nobody uses.
  package var memory: Int
  package var availableMemory: Int

  package init(
    cpus: Int, allowed: Set<Int>, quota: Double?, threads: Int, limitsBLAS: Bool, memory: Int, availableMemory: Int
  ) {
    self.cpus = cpus
    self.allowed = allowed
    self.quota = quota
    self.threads = threads
    self.limitsBLAS = limitsBLAS
    self.memory = memory
    self.availableMemory = availableMemory
  }
}

extension RankFacts {
  /// Looks around.
  package init(threads: Int) {
    let cpus = sysconf(Int32(_SC_NPROCESSORS_ONLN))
    let page = sysconf(Int32(_SC_PAGESIZE))
    self.init(
      cpus: cpus, allowed: Self.affinity() ?? Set(0..<cpus), quota: Self.cpuQuota(), threads: threads,
      limitsBLAS: getenv("OPENBLAS_NUM_THREADS") != nil, memory: sysconf(Int32(_SC_PHYS_PAGES)) * page,
      availableMemory: sysconf(Int32(_SC_AVPHYS_PAGES)) * page)
  }

  /// The CPUs that the kernel lists, as in "0-3,8".
  private static func affinity() -> Set<Int>? {
    let key = "Cpus_allowed_list:"
    guard let line = lines(of: "/proc/self/status").first(where: { $0.hasPrefix(key) }) else { return nil }
    let ranges = line.dropFirst(key.count).split(separator: ",").map { range in
      range.split(separator: "-").compactMap { Int($0.trimmingPrefix { $0.isWhitespace }) }
    }
    return ranges.reduce(into: []) { cpus, bounds in
      if let first = bounds.first, let last = bounds.last, first <= last { cpus.formUnion(first...last) }
    }
  }

  /// The limit of the process's own group, of either version of control groups.
  private static func cpuQuota() -> Double? {
    let groups = lines(of: "/proc/self/cgroup").map {
      $0.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
    }
    for group in groups where group.count == 3 {
      let path = group[2] == "/" ? "" : String(group[2])
      let controllers = group[1].split(separator: ",")
      if controllers.isEmpty, let quota = quota(lines(of: "/sys/fs/cgroup\(path)/cpu.max").first ?? "") { return quota }
      guard controllers.contains("cpu") else { continue }
      let directory = "/sys/fs/cgroup/\(group[1])\(path)"
      let parts = ["quota", "period"].map { lines(of: "\(directory)/cpu.cfs_\($0)_us").first ?? "" }
      if let quota = quota(parts.joined(separator: " ")) { return quota }
    }
    return nil
  }

  /// Reads "QUOTA PERIOD"; no limit is "max" or negative.
  private static func quota(_ text: String) -> Double? {
    let numbers = text.split(separator: " ").map { Double($0) ?? -1 }
    guard numbers.count == 2, numbers[0] > 0, numbers[1] > 0 else { return nil }
    return numbers[0] / numbers[1]
  }

  /// Lines of a file of the kernel, whose size it does not tell.
  private static func lines(of path: String) -> [String] {
    guard let file = fopen(path, "r") else { return [] }
    defer { fclose(file) }
    var buffer = [UInt8](repeating: 0, count: 1 << 14)
    let count = fread(&buffer, 1, buffer.count, file)
    return String(decoding: buffer.prefix(count), as: UTF8.self).split(separator: "\n").map(String.init)
  }
}

// MARK: - Travelling

extension RankFacts {
  /// One line, in which they reach other ranks.
  package var line: String {
    let mask = allowed.sorted().map(String.init).joined(separator: ",")
    return "\(cpus) \(mask) \(quota ?? 0) \(threads) \(limitsBLAS ? 1 : 0) \(memory) \(availableMemory)"
  }

  package init(line: String) {
    let fields = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    precondition(fields.count == 7, "a rank's facts are seven words")
    let numbers = fields.map { Int($0) ?? 0 }
    self.init(
      cpus: numbers[0], allowed: Set(fields[1].split(separator: ",").compactMap { Int($0) }),
      quota: Double(fields[2]).flatMap { $0 > 0 ? $0 : nil }, threads: numbers[3], limitsBLAS: numbers[4] == 1,
      memory: numbers[5], availableMemory: numbers[6])
  }
}
