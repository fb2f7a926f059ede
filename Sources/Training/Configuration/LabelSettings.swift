import Adaptation
import AlignmentCore

/// How responses get labels: who judges, which of them become pairs, and which pairs are kept.
package struct LabelSettings {
  package var judge: JudgeConfiguration
  /// A dearer judge for a share of the comparisons.
  package var expert: (judge: JudgeConfiguration, budget: JudgeBudget)?
  package var pairing: any PairingScheme
  package var pairingName: String
  package var resampling: ResponseResampling?
  package var filters: LabelFilters
  /// Whether labels become certain; they stay soft otherwise.
  package var isHard: Bool
  /// Whether responses that the limit of length cut take part.
  package var keepsUnfinished: Bool

  init(_ section: RecipeSection) throws {
    judge = try JudgeConfiguration(section.section("judge"))
    expert = section.isTable("expert") ? try Self.expert(section.section("expert")) : nil
    (pairingName, pairing) = try Self.pairing(section.section("pairing"))
    resampling = section.isTable("resample") ? try ResponseResampling(section.section("resample")) : nil
    filters = try LabelFilters(section.section("filter"))
    isHard = try section.boolean("hard", default: false)
    keepsUnfinished = try section.boolean("keep_unfinished", default: true)
    try section.finish()
    try check(section.path.isEmpty ? "judge" : "\(section.path).judge")
  }

  private static func expert(_ section: RecipeSection) throws -> (JudgeConfiguration, JudgeBudget) {
    let judge = try JudgeConfiguration(section.section("judge"))
    let share = try section.number("share", default: 0.2, in: 0...1)
    let count = try section.optionalInteger("comparisons", in: 0...Int.max)
    let budget = try JudgeBudget(
      count.map(JudgeBudget.Amount.comparisons) ?? .share(share),
      choice: section.choice("choose", default: .random), by: section.choice("by", default: .comparison))
    try section.finish()
    return (judge, budget)
  }

  private static func pairing(_ section: RecipeSection) throws -> (String, any PairingScheme) {
    let name = try section.string("name", default: MaxMin.name)
    let given = try section.remaining()
    let scheme = try PairingRegistry.make(name, settings: given, in: section.path)
    for option in type(of: scheme).options { section.note(option.name, given[option.name] ?? option.defaultText) }
    return (name, scheme)
  }

  private func check(_ place: String) throws {
    let needsScores = pairing.needsScores || resampling != nil || filters.gap != .none || expert != nil
    guard judge.givesScores || !needsScores else {
      throw Fault(
        .configuration,
        "\(judge.name) compares responses and gives no scores, which pairing, resample, gap or expert need",
        at: place, hint: "use form: pointwise or a reward model, or pairing first_round, random or all_pairs")
    }
  }
}

extension ResponseResampling {
  init(_ section: RecipeSection) throws {
    try self.init(
      count: section.integer("keep", default: 8, in: 1...1 << 20),
      temperature: section.number("beta", default: 0.5, in: 0...1e12),
      mergesDuplicates: section.boolean("merge_duplicates", default: true))
    try section.finish()
  }
}

extension LabelFilters {
  init(_ section: RecipeSection) throws {
    self.init()
    dropsDuplicates = try section.boolean("duplicates", default: true)
    mostPromptsOfAnswer = try section.optionalInteger("most_prompts_of_answer", in: 1...Int.max)
    greatestLengthRatio = try section.optionalNumber("length_ratio", in: 1...1e12) ?? .infinity
    let least = try section.optionalNumber("gap", in: 0...1e12)
    let share = try section.optionalNumber("gap_quantile", in: 0...1)
    guard least == nil || share == nil else {
      throw Fault(.configuration, "there are two gaps", at: "\(section.path).gap", hint: "give gap or gap_quantile")
    }
    gap = least.map(Gap.absolute) ?? share.map(Gap.quantile) ?? .none
    tieBand = try section.number("tie_band", default: 0, in: 0...0.5)
    leastConfidence = try section.number("confidence", default: 0.5, in: 0.5...1)
    greatestLengthShare = try section.number("length_share", default: 1, in: 0.5...1)
    try section.finish()
  }
}

extension MixPlan {
  init(_ section: RecipeSection) throws {
    self.init()
    measure = try section.choice("measure", default: .multipliers)
    source = try section.number("source", default: 1, in: 0...1e6)
    pseudo = try section.number("pseudo", default: 1, in: 0...1e6)
    confidencePower = try section.number("confidence_power", default: 0, in: 0...1e3)
    try section.finish()
  }
}
