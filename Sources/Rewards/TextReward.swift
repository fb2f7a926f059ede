import AlignmentCore

/// A sample as a reward sees it.
package struct JudgedSample: Sendable {
  package var prompt: String
  /// Without the token that ended it.
  package var response: String
  /// Tokens, the one that ended it included.
  package var tokens: Int
  /// Whether it ended by itself rather than at the limit of length.
  package var isFinished: Bool

  package init(prompt: String, response: String, tokens: Int, isFinished: Bool) {
    self.prompt = prompt
    self.response = response
    self.tokens = tokens
    self.isFinished = isFinished
  }
}

/// A reward that is a function of the text alone.
package protocol TextReward: Sendable {
  /// Name in recipes.
  static var name: String { get }
  /// One line for `adalign list`.
  static var summary: String { get }
  static var options: [OptionDescription] { get }
  /// Whether it looks at ``JudgedSample/tokens`` or at how a sample ended, which only the policy's own samples have.
  static var countsTokens: Bool { get }
  init(options: OptionValues)
  func reward(_ sample: JudgedSample) -> Double
}

extension TextReward {
  package static var countsTokens: Bool { false }
}

/// All rewards on texts; a new one is one file and one line here.
package enum TextRewardRegistry {
  package static let all: [any TextReward.Type] = [
    GoldReward.self,
    LengthReward.self,
    OverlongPenalty.self,
    RepetitionPenalty.self,
  ]

  package static func type(named name: String) -> (any TextReward.Type)? { all.first { $0.name == name } }

  /// Makes the reward of a type; options of the others are left aside.
  ///
  /// - Throws: ``Fault`` for an option that no reward has.
  package static func make(_ type: any TextReward.Type, settings: [String: String]) throws -> any TextReward {
    let own = Set(type.options.map(\.name))
    let foreign = Set(all.flatMap { $0.options.map(\.name) }).subtracting(own)
    return type.init(
      options: try OptionValues(
        settings.filter { !foreign.contains($0.key) }, for: type.options, of: "reward \(type.name)", in: "reward"))
  }
}
