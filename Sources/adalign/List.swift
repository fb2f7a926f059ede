import ArgumentParser
import Training

/// `adalign list`
struct List: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract:
      "List objectives, rewards, density estimators and optimizers with their options, and the other choices that recipes have."
  )

  func run() throws { try Session.onFirstRank { print(try Catalogue.text, terminator: "") } }
}
