import AlignmentCore
import Transformer

extension RunConfiguration {
  /// How preferences come from the policy itself while it is trained: at every step it answers prompts, and a judge labels
  /// pairs of the answers (Guo et al. 2024, arXiv 2402.04792, algorithm 1).
  package struct OnlineSettings {
    /// Share of a batch that is taken from the data as it is.
    package var sourceShare: Double
    /// How answers are drawn; the seed is set for each step.
    package var sampling: SamplingSettings
    package var stops: [String]
    package var unitSequences: Int
    package var label: LabelSettings

    /// How many examples of a batch come from the data.
    func sourceExamples(ofBatch size: Int) -> Int { min(size - 1, Int((sourceShare * Double(size)).rounded())) }
  }
}

extension RunConfiguration.OnlineSettings {
  init(_ section: RecipeSection) throws {
    sourceShare = try section.number("source_share", default: 0, in: 0...0.999)
    sampling = try SamplingSettings(section, samples: 2)
    stops = try section.strings("stop")
    unitSequences = try section.integer("unit_sequences", default: 32, in: 1...1 << 16)
    label = try LabelSettings(section.section("label"))
    try section.finish()
    guard sampling.samples > 1 else {
      throw Fault(
        .configuration, "a pair needs two answers", at: "\(section.path).samples", hint: "set online.samples=2 or more")
    }
  }
}
