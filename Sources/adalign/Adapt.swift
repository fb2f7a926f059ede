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
    switch try AdaptationRun(try recipe.adaptation(), over: communicator).run() {
    case .finished: Session.end(0)
    case .interrupted: Session.end(Fault.Kind.interrupted.rawValue)
    }
  }
}
