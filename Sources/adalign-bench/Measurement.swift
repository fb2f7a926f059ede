import Collectives
import JSON
import Kernels

#if canImport(Glibc)
  import Glibc
#endif

/// Monotonic time in seconds.
func now() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// The ranks that mpirun has started, or a single one.
func launchedRanks() throws -> any Communicator {
  getenv("OMPI_COMM_WORLD_SIZE") != nil ? try MPICommunicator() : LocalCommunicator()
}

/// Runs a body until it has filled a while, after a warm-up, and gives the seconds of each run, sorted.
func measure(atLeast seconds: Double = 0.3, runs minimum: Int = 7, _ body: () throws -> Void) rethrows -> [Double] {
  try body()
  var times: [Double] = []
  let start = now()
  while times.count < minimum || now() - start < seconds {
    let begin = now()
    try body()
    times.append(now() - begin)
  }
  return times.sorted()
}

extension [Double] {
  /// An element of a sorted list by its share of the way.
  func percentile(_ share: Double) -> Double { self[Swift.min(count - 1, Int(share * Double(count)))] }
}

/// Peak resident memory of the process, in bytes.
var peakMemory: Int {
  var usage = rusage()
  getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
  return usage.ru_maxrss << 10
}

/// Processor name from /proc/cpuinfo.
var processorName: String {
  guard let file = fopen("/proc/cpuinfo", "r") else { return "unknown" }
  defer { fclose(file) }
  var line = [CChar](repeating: 0, count: 4096)
  while fgets(&line, Int32(line.count), file) != nil {
    let text = String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    if text.hasPrefix("model name"), let colon = text.firstIndex(of: ":") { return String(text[colon...].dropFirst(2)) }
  }
  return "unknown"
}

/// Prints one result, with the machine it was measured on.
func emit(_ members: [(String, JSONValue)]) {
  let machine: [(String, JSONValue)] = [
    ("processor", .string(ByteString(processorName))), ("blas_core", .string(ByteString(BLAS.core))),
    ("blas_threads", .integer(Int64(BLAS.threads))),
  ]
  let object = JSONValue.object(JSONObject((members + machine).map { (ByteString($0.0), $0.1) }))
  print(String(decoding: object.serialized(), as: UTF8.self))
}
