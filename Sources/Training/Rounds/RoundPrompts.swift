import AlignmentCore
import Checkpoints
import PreferenceData

/// The prompts that the policy answers, round by round.
struct RoundPrompts {
  private let all: [String]
  private let perRound: Int
  private let seed: UInt64

  /// The prompts of the recipe's files, or of the source data, each once.
  init(_ configuration: AdaptationConfiguration) throws {
    let files = configuration.data.prompts.isEmpty ? configuration.data.source : configuration.data.prompts
    var seen: Set<String> = []
    all = try files.flatMap { try PromptFile.read($0) }.map { String(decoding: $0.text, as: UTF8.self) }
      .filter { seen.insert($0).inserted }
    let asked = configuration.data.promptsPerRound
    perRound = asked == 0 ? all.count : min(asked, all.count)
    seed = configuration.seed
  }

  /// Those of a round, counted from 1: the rounds go through all prompts before any comes again.
  func prompts(ofRound round: Int) -> [String] {
    var stream = BatchStream(count: all.count, size: perRound, seed: seed, shuffle: perRound < all.count)
    return stream.examples(ofStep: round - 1).map { all[$0] }
  }

  var digest: String {
    let hash = SHA256()
    for prompt in all { hash.update(field: prompt) }
    return hash.finish().hex
  }
}
