import AlignmentCore
import ArgumentParser
import Checkpoints
import Training

/// `adalign adapt RECIPE key=value …`
struct Adapt: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "Adapt a policy in rounds: sample, weigh, label, mix, train; start again with the same run directory to resume.",
    discussion: """
      A round's stages are files below the run directory; what is complete is not done again. \
      Exit codes are those of train.
      """)

  @OptionGroup var recipe: RecipeArguments

  func run() throws {
    let communicator = try Session.begin(savesOnSignals: true)
    let configuration = try recipe.adaptation()
    let placement = try recipe.placement(configuration.settings, threads: configuration.threads, over: communicator)
    let rounds = try AdaptationRun(configuration, over: communicator)
    if communicator.rank == 0 { try placement.write(to: configuration.run) }
    switch try rounds.run() {
    case .finished: Session.end(0)
    case .interrupted: Session.end(Fault.Kind.interrupted.rawValue)
    }
  }
}
