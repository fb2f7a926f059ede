import Adaptation
import AlignmentCore
import Collectives
import PreferenceData
import Transformer

/// Scores responses with a reward model, by all ranks.
final class RewardModelJudge: PointwisePreferenceFunction {
  let identity: String
  private let source: ModelSource
  private let cache: String
  private let unitTokens: Int
  private let communicator: any Communicator

  init(_ directory: String, cache: String, unitTokens: Int = 2048, over communicator: any Communicator) throws {
    source = try ModelSource(.directory(directory)).agreed(over: communicator)
    try source.requireRewardModel(directory, for: "judging")
    identity = "reward model \(source.digest)"
    self.cache = cache
    self.unitTokens = unitTokens
    self.communicator = communicator
  }

  /// The score of each response; responses to one prompt that follow one another share it.
  func judgements(of responses: [JudgedResponse]) throws -> [Judgement] {
    guard !responses.isEmpty else { return [] }
    var rows: [TransientDataset.Row] = []
    for response in responses {
      if rows.last?.prompt == response.prompt {
        rows[rows.count - 1].completions.append(response.response)
      } else {
        rows.append((response.prompt, [response.response]))
      }
    }
    let dataset = try TransientDataset.open(rows, source: source, cache: cache, over: communicator)
    let scores = try ScoringPass(source, dataset: dataset, unitTokens: unitTokens, over: communicator)
      .completionOutputs()
    return scores.map { Judgement(q: PreferenceLogit.probability($0), scores: [$0]) }
  }
}
