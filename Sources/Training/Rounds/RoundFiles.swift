import AlignmentCore
import Checkpoints
import Collectives

/// The files of one round; each appears when its stage is complete, and a stage whose file is there is not done again.
struct RoundFiles {
  let directory: String

  /// Round 0 is what happens before the first: the base of comparison, and a reward model to begin with.
  init(run: String, round: Int) { directory = "\(run)/rounds/\(round.padded(to: 3))" }

  /// The policy's responses to the round's prompts.
  var samples: String { "\(directory)/samples.jsonl" }
  /// Weights of the source data towards the round's policy.
  var weights: String { "\(directory)/weights" }
  /// Pairs that the expert answered for the reward model to learn from, and what became of all that were proposed.
  var expertAnswers: String { "\(directory)/expert.jsonl" }
  var expertStatistics: String { "\(directory)/expert.json" }
  /// Pairs of the policy's responses with their labels.
  var labels: String { "\(directory)/labels.jsonl" }
  /// What became of the candidates, as JSON.
  var labelStatistics: String { "\(directory)/labels.json" }
  /// Source examples and pseudo-labelled ones together.
  var mixture: String { "\(directory)/mixture.jsonl" }
  /// Runs of the trainer.
  var rewardModelRun: String { "\(directory)/reward-model" }
  var refinementRun: String { "\(directory)/refined-reward-model" }
  var policyRun: String { "\(directory)/policy" }
  /// What they end with.
  var rewardModel: String { "\(rewardModelRun)/final" }
  var refinedRewardModel: String { "\(refinementRun)/final" }
  var policy: String { "\(policyRun)/final" }
  /// How the policy fares, as JSON.
  var evaluation: String { "\(directory)/evaluation.json" }

  /// Does a stage unless its output is there, as rank 0 sees it.
  ///
  /// - Parameters:
  ///   - body: called on every rank; makes the output appear.
  func stage(_ output: String, over communicator: any Communicator, _ body: () throws -> Void) throws {
    guard try !communicator.agree({ FileSystem.exists(output) }) else { return }
    try communicator.doOnRankZero { try FileSystem.makeDirectory(directory) }
    try body()
    try communicator.barrier()
  }
}
