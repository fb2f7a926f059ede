import AlignmentCore
import CMPI

#if canImport(Glibc)
  import Glibc
#endif

/// The ranks that mpirun or srun started. Initialises MPI when made; one value owns MPI for the life of the process.
///
/// Not `Sendable`: all its calls come from the thread that made it, for which `MPI_THREAD_FUNNELED` is enough. A
/// ``RingChannel`` for another thread needs `MPI_THREAD_MULTIPLE`.
package final class MPICommunicator: Communicator {
  package let rank: Int
  package let size: Int
  package let hostRank: Int
  package let hostSize: Int
  private let world: MPI_Comm
  private let allowsThreads: Bool
  /// What the main thread waits for.
  private let requests = Requests()

  /// Largest message in bytes; MPI counts are C ints.
  static let largestMessage = 1 << 30

  /// - Throws: ``Fault`` if MPI cannot start.
  package init() throws {
    // Where both ends send long messages, one connection of Open MPI carries half of what the wire could, two carry all
    // (`adalign doctor` between two hosts at 1 Gbit/s). What the user has set stays.
    setenv("OMPI_MCA_btl_tcp_links", "2", 0)
    var provided: Int32 = 0
    try check(MPI_Init_thread(nil, nil, Int32(MPI_THREAD_MULTIPLE), &provided), "MPI_Init_thread")
    world = adalign_comm_world()
    try check(adalign_set_errors_return(world), "MPI_Comm_set_errhandler")
    guard provided >= MPI_THREAD_FUNNELED else {
      throw Fault(
        .environment, "MPI offers thread level \(provided), FUNNELED (\(MPI_THREAD_FUNNELED)) is needed",
        hint: "use an Open MPI built with thread support")
    }
    allowsThreads = provided >= MPI_THREAD_MULTIPLE
    (rank, size) = try Self.rankAndSize(of: world)
    var host: MPI_Comm! = adalign_comm_null()
    try check(
      MPI_Comm_split_type(world, Int32(MPI_COMM_TYPE_SHARED), 0, adalign_info_null(), &host), "MPI_Comm_split_type")
    (hostRank, hostSize) = try Self.rankAndSize(of: host)
    try check(MPI_Comm_free(&host), "MPI_Comm_free")
  }

  /// Ends MPI; every rank must come here.
  package func finalize() { MPI_Finalize() }

  /// Version of the MPI library, one line.
  package static var version: String {
    var buffer = [CChar](repeating: 0, count: Int(MPI_MAX_LIBRARY_VERSION_STRING))
    var length: Int32 = 0
    MPI_Get_library_version(&buffer, &length)
    let bytes = buffer.prefix(Int(length)).map { UInt8(bitPattern: $0) }
    return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != 0 }, as: UTF8.self)
  }

  /// Name of the thread level that MPI gave.
  package var threadLevel: String {
    var level: Int32 = 0
    MPI_Query_thread(&level)
    return ["SINGLE", "FUNNELED", "SERIALIZED", "MULTIPLE"][Int(min(max(level, 0), 3))]
  }

  package func barrier() throws {
    try check(MPI_Ibarrier(world, requests.first), "MPI_Ibarrier")
    try requests.wait()
  }

  package func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
    try Self.forEachMessage(bytes.count) { range in
      try check(
        MPI_Ibcast(
          bytes.baseAddress! + range.lowerBound, Int32(range.count), adalign_type_byte(), Int32(root), world,
          requests.first),
        "MPI_Ibcast")
      try requests.wait()
    }
  }

  package func allReduce(_ operation: ReductionOperator, _ values: UnsafeMutableBufferPointer<Double>) throws {
    try check(
      MPI_Iallreduce(
        adalign_in_place(), values.baseAddress, Int32(values.count), adalign_type_double(), operation.handle, world,
        requests.first),
      "MPI_Iallreduce")
    try requests.wait()
  }

  package func sum(_ values: UnsafeMutableBufferPointer<Int64>) throws {
    try sum(UnsafeMutableRawBufferPointer(values), of: adalign_type_int64(), MemoryLayout<Int64>.stride)
  }

  package func sum(_ values: UnsafeMutableBufferPointer<Float>) throws {
    try sum(UnsafeMutableRawBufferPointer(values), of: adalign_type_float(), MemoryLayout<Float>.stride)
  }

  private func sum(_ bytes: UnsafeMutableRawBufferPointer, of type: MPI_Datatype, _ stride: Int) throws {
    try Self.forEachMessage(bytes.count) { range in
      try check(
        MPI_Allreduce(
          adalign_in_place(), bytes.baseAddress! + range.lowerBound, Int32(range.count / stride), type,
          adalign_op_sum(), world),
        "MPI_Allreduce")
    }
  }

  package func makeRingChannel() throws -> (any RingChannel)? {
    allowsThreads && size > 1 ? try MPIRingChannel(duplicating: world, rank: rank, size: size) : nil
  }

  package func exchange(
    send: UnsafeRawBufferPointer, to destination: Int, receive: UnsafeMutableRawBufferPointer, from source: Int
  ) throws {
    precondition(max(send.count, receive.count) <= Self.largestMessage, "message is too long for MPI")
    try check(
      MPI_Irecv(
        receive.baseAddress, Int32(receive.count), adalign_type_byte(), Int32(source), 0, world, requests.first),
      "MPI_Irecv")
    try check(
      MPI_Isend(
        send.baseAddress, Int32(send.count), adalign_type_byte(), Int32(destination), 0, world, requests.second),
      "MPI_Isend")
    try requests.wait()
  }

  package func abort(code: Int32) -> Never {
    precondition((1...125).contains(code), "exit code \(code) would be read as another one by mpirun")
    MPI_Abort(world, code)
    _exit(code)
  }

  private static func rankAndSize(of communicator: MPI_Comm) throws -> (Int, Int) {
    var (rank, size): (Int32, Int32) = (0, 0)
    try check(MPI_Comm_rank(communicator, &rank), "MPI_Comm_rank")
    try check(MPI_Comm_size(communicator, &size), "MPI_Comm_size")
    return (Int(rank), Int(size))
  }

  private static func forEachMessage(_ count: Int, _ body: (Range<Int>) throws -> Void) rethrows {
    var start = 0
    while start < count {
      let end = min(start + largestMessage, count)
      try body(start..<end)
      start = end
    }
  }
}

/// A receive and a send, or another operation of MPI, that were begun and are waited for.
final class Requests {
  let first: UnsafeMutablePointer<MPI_Request?>
  var second: UnsafeMutablePointer<MPI_Request?> { first + 1 }

  init() {
    first = .allocate(capacity: 2)
    first.initialize(repeating: adalign_request_null(), count: 2)
  }

  deinit { first.deallocate() }

  func areDone() throws -> Bool {
    var flag: Int32 = 0
    try check(MPI_Testall(2, first, &flag, adalign_statuses_ignore()), "MPI_Testall")
    return flag != 0
  }

  /// Returns when they are done; Open MPI's own waiting is busy.
  func wait() throws {
    let patience = Patience()
    while try !areDone() { patience.pause() }
  }
}

extension ReductionOperator {
  fileprivate var handle: MPI_Op {
    switch self {
    case .sum: adalign_op_sum()
    case .minimum: adalign_op_min()
    case .maximum: adalign_op_max()
    }
  }
}

/// Turns a code of MPI into a fault that names the operation and MPI's own words.
func check(_ code: Int32, _ operation: String) throws {
  guard code != MPI_SUCCESS else { return }
  var buffer = [CChar](repeating: 0, count: Int(MPI_MAX_ERROR_STRING))
  var length: Int32 = 0
  MPI_Error_string(code, &buffer, &length)
  let message = String(decoding: buffer.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  throw Fault(.environment, "\(operation) failed: \(message)", hint: "see the messages of mpirun above")
}
