import AlignmentCore
import Collectives
import Logging
import Training

#if canImport(Glibc)
  // For `stdout`, which C declares as a variable; nothing here replaces it.
  @preconcurrency import Glibc
#endif

/// The process as one rank of a run: joins MPI when a launcher started it, and decides how it ends.
enum Session {
  // Set once by `begin` on the main thread, which alone reads it.
  private nonisolated(unsafe) static var communicator: (any Communicator)?

  /// Joins the other ranks; without mpirun or srun the process is the only rank.
  ///
  /// - Parameters:
  ///   - savesOnSignals: whether signals ask the command to save and stop; otherwise they end it.
  static func begin(savesOnSignals: Bool = false) throws -> any Communicator {
    if savesOnSignals { StopRequest.installHandlers() }
    // A closed pipe or a file-size limit becomes an error of the write that met it.
    for number in [SIGPIPE, SIGXFSZ] { signal(number, SIG_IGN) }
    try checkLauncher()
    let joined: any Communicator = isLaunchedByMPI ? try MPICommunicator() : LocalCommunicator()
    communicator = joined
    try ProgramAgreement.check(over: joined, arguments: CommandLine.arguments)
    let rank = joined.rank
    LoggingSystem.bootstrap { _ in RankLogHandler(isFirst: rank == 0) }
    if let faults = try FaultInjection.begin(rank: rank) {
      Logger(label: "adalign").warning("faults are injected on purpose: \(FaultInjection.variable)=\(faults)")
    }
    return joined
  }

  /// Does the work of a command that needs one process on rank 0, and ends all ranks when it is done.
  static func onFirstRank(_ body: () throws -> Void) throws -> Never {
    let communicator = try begin()
    if communicator.rank == 0 { try body() }
    try communicator.barrier()
    end(0)
  }

  /// Leaves MPI with the others and ends the process.
  ///
  /// What was printed must have been written; a reader that wanted no more is no fault.
  static func end(_ status: Int32) -> Never {
    if status == 0, fflush(stdout) != 0 || ferror(stdout) != 0, errno != EPIPE {
      end(Fault(.unwritable, "standard output could not be written", hint: "is the disk full?"))
    }
    (communicator as? MPICommunicator)?.finalize()
    exit(status)
  }

  /// Prints a fault and ends every rank.
  ///
  /// A fault that all ranks see alike is told by rank 0 alone: the others wait, and rank 0's abort ends them.
  static func end(_ fault: Fault) -> Never {
    guard let communicator, communicator.size > 1 else {
      if launchedRank > 0 { exit(fault.kind.rawValue) }
      StandardError.write("adalign: \(fault)\n")
      exit(fault.kind.rawValue)
    }
    if communicator.rank != 0 {
      signal(SIGTERM, SIG_DFL)
      sleep(4)
    }
    let place = communicator.rank == 0 ? "" : " (rank \(communicator.rank) on \(Host.name))"
    StandardError.write("adalign\(place): \(fault)\n")
    communicator.abort(code: fault.kind.rawValue)
  }

  /// Tells where the ranks are, if there are several, and what they lose there.
  static func tellPlacement(threads: Int, over communicator: any Communicator) throws {
    guard communicator.size > 1 else { return }
    let placement = try Placement(over: communicator, threads: threads)
    if communicator.rank == 0 { placement.announce() }
  }

  /// The rank that the launcher gave this process, known before MPI starts; 0 without a launcher.
  private static var launchedRank: Int {
    for name in ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"] {
      if let text = getenv(name), let rank = Int(String(cString: text)) { return rank }
    }
    return 0
  }

  private static var isLaunchedByMPI: Bool {
    ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"].contains { (name: String) in getenv(name) != nil }
  }

  /// srun without PMIx would start many unrelated copies of the program.
  private static func checkLauncher() throws {
    guard !isLaunchedByMPI, let steps = getenv("SLURM_STEP_NUM_TASKS"), let tasks = Int(String(cString: steps)),
      tasks > 1
    else { return }
    throw Fault(
      .environment, "srun started \(tasks) tasks without MPI", hint: "use srun --mpi=pmix, or mpirun inside the job")
  }
}

/// Messages for people on stderr: everything from rank 0, only errors from the others.
struct RankLogHandler: LogHandler {
  let isFirst: Bool
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level = .info

  init(isFirst: Bool) {
    self.isFirst = isFirst
    logLevel = isFirst ? .info : .error
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let label = event.level >= .warning ? "\(event.level): " : ""
    StandardError.write("\(label)\(event.message)\n")
  }
}
