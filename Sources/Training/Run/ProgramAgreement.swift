import AlignmentCore
import Checkpoints
import Collectives

/// That all ranks are copies of one program that were asked for one thing.
package enum ProgramAgreement {
  /// - Throws: ``Fault`` of kind `mismatch` that names the host which differs, and in what.
  package static func check(over communicator: any Communicator, arguments: [String]) throws {
    guard communicator.hostSize < communicator.size else { return }
    try communicator.agree(
      on: "MPI library", at: "", .mismatch, hint: "install the same Open MPI everywhere, and check LD_LIBRARY_PATH"
    ) {
      MPICommunicator.version
    }
    // Of the file that runs, which may have been replaced since; 40 MB take 25 ms.
    try communicator.agree(
      on: "adalign", at: arguments.first ?? "", .mismatch,
      hint: "copy one build to every host; ADALIGN_CPU=x86-64-v3 builds one for different processors"
    ) {
      try SHA256.digest(ofFile: "/proc/self/exe").hex
    }
    try communicator.agree(
      on: "command line", at: "", .mismatch, hint: "give all ranks the same arguments"
    ) {
      arguments.dropFirst().joined(separator: " ")
    }
  }

  /// Refuses recipes that read differently on different hosts.
  package static func check(_ settings: ResolvedSettings, at recipe: String, over communicator: any Communicator) throws
  {
    try communicator.agree(
      on: "configuration", at: recipe, .configuration, hint: "copy the recipe to every host, or share its directory"
    ) {
      SHA256.digest(of: Array(settings.yaml.utf8)).hex
    }
  }
}
