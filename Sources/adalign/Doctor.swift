import AlignmentCore
import ArgumentParser
import Collectives
import Training

/// `adalign doctor`
struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what the program runs on and warn about costly settings; also under mpirun.")

  func run() throws {
    let communicator = try Session.begin()
    let mpi = (communicator as? MPICommunicator).map { "\(MPICommunicator.version), thread level \($0.threadLevel)" }
    let report = try Diagnosis(over: communicator, host: Session.hostName)
    if communicator.rank == 0 {
      print("MPI        \(mpi ?? "\(MPICommunicator.version), not started by mpirun: one rank")")
      print(report.text, terminator: "")
    }
    try communicator.barrier()
    Session.end(0)
  }
}
