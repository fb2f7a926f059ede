import AlignmentCore
import ArgumentParser
import Collectives
import JSON
import Training

/// `adalign doctor`
struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "Show what the program runs on, measure how fast it is, and warn about costly settings; also under mpirun.")

  @Option(help: "Also measure the disk of this directory, with a file of 32 MiB for each rank.")
  var directory: String?

  @OptionGroup var report: ReportOptions

  func run() throws {
    let communicator = try Session.begin()
    let mpi = (communicator as? MPICommunicator).map { "\(MPICommunicator.version), thread level \($0.threadLevel)" }
    let diagnosis = try Diagnosis(over: communicator, host: Host.name)
    let rates = try RateMeasurement(over: communicator, host: Host.name, threads: Diagnosis.requestedThreads)
      .run(directory: directory)
    if communicator.rank == 0 {
      let launch = "MPI        \(mpi ?? "\(MPICommunicator.version), not started by mpirun: one rank")\n"
      try report.write(text: launch + diagnosis.text(with: rates), json: rates.json)
    }
    try communicator.barrier()
    Session.end(0)
  }
}
