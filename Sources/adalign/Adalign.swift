import AlignmentCore
import ArgumentParser

/// The command line.
@main
struct Adalign: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "adalign",
    abstract: "Aligns language models under domain shift, data-parallel over MPI.",
    discussion: """
      Every command runs alone or under mpirun: mpirun -n 4 adalign train recipes/dpo.yaml model=DIR data.train=FILE
      """,
    version: "0.1.0",
    subcommands: [
      Train.self, Adapt.self, Compare.self, Weigh.self, Label.self, Score.self, Sample.self, Evaluate.self,
      Calibrate.self,
      Merge.self, Tokenize.self, ObjectiveCommand.self, World.self, List.self, Config.self, Doctor.self, Plan.self,
    ])

  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let fault as Fault {
      Session.end(fault)
    } catch {
      guard exitCode(for: error) != .success else { exit(withError: error) }
      Session.end(Fault(.usage, message(for: error), hint: "see adalign --help"))
    }
  }
}
