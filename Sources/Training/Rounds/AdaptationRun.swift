import AlignmentCore
import Checkpoints
import Collectives
import JSON
import Kernels
import Logging

/// Rounds that bring a policy closer to what it should say: sample, weigh, label, mix, train, evaluate.
///
/// A round is a directory and a stage of it a file that appears when it is complete, so a run that was killed goes on
/// behind the last whole stage; training itself resumes from its checkpoints. Nothing depends on the number of ranks.
package final class AdaptationRun {
  private let configuration: AdaptationConfiguration
  private let communicator: any Communicator
  private let lock: RunDirectoryLock?
  private let prompts: RoundPrompts

  /// Opens and checks what all rounds need; nothing is written but the lock.
  package init(_ configuration: AdaptationConfiguration, over communicator: any Communicator) throws {
    self.configuration = configuration
    self.communicator = communicator
    BLAS.threads = configuration.threads
    lock = try RunDirectoryLock.take(configuration.run, over: communicator)
    do {
      let source = try ModelSource(.directory(configuration.model)).agreed(over: communicator)
      try source.requireLanguageModel(configuration.model, for: "adaptation")
      prompts = try RoundPrompts(configuration)
      try PreparedData.agree(at: "data.prompts", over: communicator) { prompts.digest }
      try Self.checkInputs(configuration, over: communicator)
      try communicator.doOnRankZero {
        try AdaptationRecord(configuration, model: source.digest, prompts: prompts.digest).check()
      }
    } catch {
      lock?.releaseUnused()
      throw error
    }
  }

  /// Looks at what later stages need, so that nobody waits for samples only to be told of a missing file or key.
  private static func checkInputs(_ configuration: AdaptationConfiguration, over communicator: any Communicator) throws
  {
    let weights = configuration.weights
    let models = [configuration.rewardModel?.model, weights?.rewardModel].compactMap(\.self)
    for directory in models + (weights?.sourceModels ?? []) { _ = try ModelSource(.directory(directory)) }
    let judges = JudgeBuilder(
      policy: configuration.model, storeDirectory: configuration.run, cache: configuration.cache,
      communicator: communicator)
    for judge in configuration.judges { try judges.check(judge) }
    for file in configuration.evaluation?.prompts ?? [] { _ = try PromptFile.read(file) }
  }

  /// Does what is left of the rounds.
  package func run() throws -> TrainingRun.Outcome {
    try Watchdog.watch(configuration.policy.outline.watchdog, rank: communicator.rank) { try runRounds() }
  }

  private func runRounds() throws -> TrainingRun.Outcome {
    var policy = configuration.model
    for number in 0...configuration.rounds {
      let round = Round(configuration, number: number, policy: policy, prompts: prompts, over: communicator)
      guard try round.run() == .finished else { return .interrupted }
      if number > 0 { policy = round.files.policy }
      try report(upTo: number)
      if try isAskedToStop(), number < configuration.rounds { return interrupted(after: number) }
    }
    try communicator.doOnRankZero { try publish(policy) }
    if communicator.rank == 0 {
      log.notice("finished \(configuration.rounds) rounds; the policy is in \(configuration.run)/final")
    }
    return .finished
  }

  /// Writes what is known of the rounds so far.
  private func report(upTo last: Int) throws {
    try communicator.doOnRankZero {
      let summaries = try (0...last).map { number in
        try RoundSummary(number, RoundFiles(run: configuration.run, round: number))
      }
      try AtomicFile.write("\(configuration.run)/rounds.jsonl", summaries.flatMap(\.line))
      let page = RoundsPage(title: FileSystem.name(of: configuration.run), summaries: summaries, configuration)
      try AtomicFile.write("\(configuration.run)/report.html", Array(page.html.utf8))
    }
  }

  private func isAskedToStop() throws -> Bool {
    try communicator.allReduce(.maximum, StopRequest.isPending ? 1 : 0) > 0
  }

  private func interrupted(after round: Int) -> TrainingRun.Outcome {
    if communicator.rank == 0 { log.notice("asked to stop: round \(round) is complete; start again to go on") }
    return .interrupted
  }

  /// Makes `final` a copy of the last round's policy.
  private func publish(_ policy: String) throws {
    let target = "\(configuration.run)/final"
    let staging = "\(target).tmp"
    try FileSystem.removeTree(staging)
    try FileSystem.makeDirectory(staging)
    for name in try FileSystem.list(policy) {
      try AtomicFile.write("\(staging)/\(name)", try FileSystem.readWhole("\(policy)/\(name)", limit: .max))
    }
    try FileSystem.removeTree(target)
    try FileSystem.move(staging, to: target)
    try FileSystem.syncDirectory(configuration.run)
  }
}
