import Adaptation
import AlignmentCore
import Rewards

/// Scores responses by a function of their texts, such as the gold reward of the synthetic world.
struct TextRewardJudge: PointwisePreferenceFunction {
  let identity: String
  private let reward: any TextReward

  /// - Parameters:
  ///   - reward: one that counts no tokens.
  init(_ name: String, _ reward: any TextReward) {
    identity = name
    self.reward = reward
  }

  func judgements(of responses: [JudgedResponse]) -> [Judgement] {
    responses.map {
      let sample = JudgedSample(prompt: $0.prompt, response: $0.response, tokens: 0, isFinished: true)
      let score = reward.reward(sample)
      return Judgement(q: PreferenceLogit.probability(score), scores: [score])
    }
  }
}
