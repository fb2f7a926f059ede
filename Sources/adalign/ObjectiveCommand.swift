import AlignmentCore
import ArgumentParser
import Training

/// `adalign objective evaluate …`
struct ObjectiveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "objective", abstract: "Work with objectives without a model.", subcommands: [Evaluate.self])

  struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Print loss and gradients for rows of log-probabilities, then the loss of the batch.",
      discussion: """
        Rows: {"policy_chosen": …, "policy_rejected": …, "reference_chosen": …, "reference_rejected": …} in nats, and
        optionally "weight", "q", "margin", "chosen_tokens", "rejected_tokens".
        """)

    @Option(help: "Name of the objective; see adalign list.")
    var name: String

    @Option(help: "JSONL file of rows.")
    var input: String

    @Argument(help: "Options of the objective as key=value, and normalization=count or weight.")
    var settings: [String] = []

    func run() throws {
      try Session.onFirstRank {
        let file = try ObjectiveFile(name: name, settings: settings, input: input)
        try file.evaluate { print(String(decoding: $0.serialized(), as: UTF8.self)) }
      }
    }
  }
}
