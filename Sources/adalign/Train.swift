import AlignmentCore
import ArgumentParser
import Checkpoints
import Collectives
import Training

/// `adalign train RECIPE key=value …`
struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train a model as a recipe says; start again with the same run directory to resume.",
    discussion: """
      Exit codes: 0 finished, 64–73 refused, 74 no progress, 75 saved and asked to go on, 76 not finite, 77 ranks differ.
      """)

  @OptionGroup var recipe: RecipeArguments

  func run() throws {
    let communicator = try Session.begin(savesOnSignals: true)
    let configuration = try recipe.configuration()
    let placement = try recipe.placement(configuration.settings, threads: configuration.threads, over: communicator)
    let run = try TrainingRun(configuration, over: communicator)
    run.placement = placement
    switch try run.run() {
    case .finished: Session.end(0)
    case .interrupted: Session.end(Fault.Kind.interrupted.rawValue)
    }
  }
}

/// `adalign config RECIPE key=value …`
struct Config: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Print a recipe with its overrides and all defaults.")

  @OptionGroup var recipe: RecipeArguments

  func run() throws {
    try Session.onFirstRank { print(try recipe.settings().yaml, terminator: "") }
  }
}

/// A recipe and what the command line changes in it.
struct RecipeArguments: ParsableArguments {
  @Argument(help: "A YAML recipe.")
  var recipe: String

  @Argument(help: "Settings that replace the recipe's, as key.path=value.")
  var overrides: [String] = []

  /// The recipe of a single run, with some more settings.
  func configuration(_ settings: [String] = []) throws -> RunConfiguration {
    try RunConfiguration(recipe: text(), path: recipe, overrides: overrides + settings)
  }

  /// The recipe of rounds.
  func adaptation() throws -> AdaptationConfiguration {
    try AdaptationConfiguration(recipe: text(), path: recipe, overrides: overrides)
  }

  /// All settings of a recipe of either kind.
  func settings() throws -> ResolvedSettings {
    try AdaptationConfiguration.isRecipe(text(), path: recipe, overrides: overrides)
      ? adaptation().settings : configuration().settings
  }

  /// Makes sure that all hosts read the recipe alike, and tells where the ranks are.
  func placement(_ settings: ResolvedSettings, threads: Int, over communicator: any Communicator) throws -> Placement {
    try ProgramAgreement.check(settings, at: recipe, over: communicator)
    let placement = try Placement(over: communicator, threads: threads)
    if communicator.rank == 0 { placement.announce() }
    return placement
  }

  private func text() throws -> String {
    String(decoding: try FileSystem.readWhole(recipe, limit: 1 << 20), as: UTF8.self)
  }
}
