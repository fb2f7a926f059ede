import AlignmentCore
import SyntheticWorld

/// The true reward of the synthetic world: what a learned reward model stands in for.
package struct GoldReward: TextReward {
  package static let name = "gold"
  package static let summary = "the synthetic world's true reward (adalign world)"
  package static let options: [OptionDescription] = []

  package init(options: OptionValues) {}

  package func reward(_ sample: JudgedSample) -> Double {
    SyntheticWorld.goldReward(prompt: sample.prompt, response: sample.response)
  }
}
