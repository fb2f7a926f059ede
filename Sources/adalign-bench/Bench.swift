import AlignmentCore
import ArgumentParser

/// Benchmarks that check before they time, and print JSON.
@main
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "adalign-bench",
    abstract:
      "Measure training steps, communication, sampling and kernels (JSON lines on stdout), and methods of adaptation (tables).",
    subcommands: [
      StepBench.self, CommunicationBench.self, SampleBench.self, KernelBench.self, WeightBench.self, ShiftBench.self,
    ])

  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let fault as Fault {
      StandardError.write("adalign-bench: \(fault)\n")
      exit(withError: ExitCode(fault.kind.rawValue))
    } catch {
      exit(withError: error)
    }
  }
}
